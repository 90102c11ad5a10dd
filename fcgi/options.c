#include "fcgi/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/settings.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

static int usage(FILE *out, int status)
{
    fputs("confab-fcgi: answers confab's HTTP API as a FastCGI child\n"
          "\n"
          "  spawn-fcgi -n -s SOCKET -b 4096 -- multiwatch -f CHILDREN -- confab-fcgi\n"
          "\n"
          "  --help            this, and the settings\n"
          "  --version\n"
          "  --check           read and check the settings, and stop\n"
          "  --get NAME        the value of a setting (\"model.turn_timeout\"): times in\n"
          "                    milliseconds, sizes in bytes\n"
          "\n"
          "Serves the listening socket that it finds as descriptor 0. SIGTERM and SIGUSR1 let\n"
          "the running requests end.\n",
          out);
    return status;
}

static int help(void)
{
    usage(stdout, 0);
    puts("\nSettings, from the environment, or from $CONFAB_CONFIG (/etc/confab/confab.ini):\n");
    conf_help(settings_rows, settings_count, stdout);
    return 0;
}

static const struct conf_row *row_of(const char *name)
{
    const char *dot = strchr(name, '.');

    for (size_t i = 0; dot && i < settings_count; i++) {
        const struct conf_row *row = &settings_rows[i];
        size_t len = (size_t)(dot - name);

        if (strlen(row->section) == len && memcmp(row->section, name, len) == 0 &&
            strcmp(row->name, dot + 1) == 0)
            return row;
    }
    return NULL;
}

static void print_value(const struct conf_row *row, const struct settings *s)
{
    const char *at = (const char *)s + row->offset;

    switch (row->type) {
    case CONF_TEXT:   puts(*(char *const *)at); break;
    case CONF_SECRET: puts(**(char *const *)at ? "(set)" : ""); break;
    case CONF_INT: case CONF_TIME: case CONF_SIZE:
        printf("%" PRId64 "\n", *(const int64_t *)at);
        break;
    case CONF_NUMBER: printf("%g\n", *(const double *)at); break;
    case CONF_BOOL:   puts(*(const bool *)at ? "on" : "off"); break;
    case CONF_CHOICE: {
        const char *choice = row->choices;

        for (int i = *(const int *)at; i > 0; i--)
            choice += strcspn(choice, "|") + 1;
        printf("%.*s\n", (int)strcspn(choice, "|"), choice);
        break;
    }
    }
}

/* name NULL: only check. */
static int ask_settings(const char *name)
{
    const struct conf_row *row = name ? row_of(name) : NULL;
    struct settings s = { 0 };
    int status = 0;

    if (name && !row) {
        fprintf(stderr, "confab-fcgi: there is no setting \"%s\", see --help\n", name);
        return 2;
    }
    if (!settings_load(&s))
        status = 1;
    else if (row)
        print_value(row, &s);
    settings_free(&s);
    return status;
}

int options_answer(int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "";

    if (argc == 1)
        return -1;
    if (argc == 2 && strcmp(option, "--help") == 0)
        return help();
    if (argc == 2 && strcmp(option, "--version") == 0)
        return puts("confab-fcgi " PACKAGE_VERSION) < 0;
    if (argc == 2 && strcmp(option, "--check") == 0)
        return ask_settings(NULL);
    if (argc == 3 && strcmp(option, "--get") == 0)
        return ask_settings(argv[2]);
    return usage(stderr, 2);
}
