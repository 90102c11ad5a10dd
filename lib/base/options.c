#include "lib/base/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/settings.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum { EXIT_USAGE = 2 };

static int usage(const struct options_program *p, FILE *out, int status)
{
    fputs(p->usage, out);
    fputs("\n"
          "  --help            this, and the settings\n"
          "  --version\n"
          "  --check           read and check the settings, and stop\n"
          "  --get NAME        the value of a setting (\"model.turn_timeout\"): times in\n"
          "                    milliseconds, sizes in bytes\n",
          out);
    return status;
}

static int help(const struct options_program *p)
{
    usage(p, stdout, 0);
    puts("\nSettings, from the environment, or from $CONFAB_CONFIG (/etc/confab/confab.ini):\n");
    conf_help(settings_rows, settings_count, stdout);
    putchar('\n');
    conf_help(settings_upstream_rows, settings_upstream_count, stdout);
    return 0;
}

static int check(const struct options_program *p, const struct settings *s)
{
    if (!p->needs_model || settings_has_model(s) || settings_use_demo(s))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: no model is set up: set OPENAI_API_KEY or OPENAI_BASE_URL, or "
                    "DEMO=fallback to try it out\n", p->name);
    return EXIT_FAILURE;
}

static int get(const struct options_program *p, const struct settings *s, const char *name)
{
    if (conf_print(settings_rows, settings_count, s, name, stdout))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: there is no setting \"%s\" that may be shown, see --help\n", p->name, name);
    return EXIT_USAGE;
}

int options_answer(const struct options_program *p, int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "";
    bool checks = argc == 2 && strcmp(option, "--check") == 0;
    bool gets = argc == 3 && strcmp(option, "--get") == 0;
    struct settings s = { 0 };
    int status = EXIT_FAILURE;

    if (argc == 1)
        return -1;
    if (argc == 2 && strcmp(option, "--help") == 0)
        return help(p);
    if (argc == 2 && strcmp(option, "--version") == 0)
        return printf("%s %s\n", p->name, PACKAGE_VERSION) < 0;
    if (!checks && !gets)
        return usage(p, stderr, EXIT_USAGE);
    if (settings_load(&s))
        status = checks ? check(p, &s) : get(p, &s, argv[2]);
    settings_free(&s);
    return status;
}
