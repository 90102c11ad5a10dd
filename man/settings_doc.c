/* Writes the table of settings for the manual, the README and the example file, so that none
 * of them can differ from the code. Run by make, never installed.
 *
 *   settings_doc ini | markdown
 *   settings_doc man TEMPLATE       the template, with @SETTINGS@ and @VERSION@ filled in */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/settings.h"

static void all(void (*print)(const struct conf_row *rows, size_t count, FILE *out))
{
    print(settings_rows, settings_count, stdout);
    if (print != conf_man)      /* an empty line is a mistake there */
        putchar('\n');
    print(settings_upstream_rows, settings_upstream_count, stdout);
}

static int fill(const char *path)
{
    char line[1024];
    FILE *f = fopen(path, "r");

    if (!f) {
        perror(path);
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof(line), f)) {
        char *version = strstr(line, "@VERSION@");

        if (strcmp(line, "@SETTINGS@\n") == 0)
            all(conf_man);
        else if (version)
            printf("%.*s%s%s", (int)(version - line), line, PACKAGE_VERSION,
                   version + strlen("@VERSION@"));
        else
            fputs(line, stdout);
    }
    fclose(f);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "man") == 0)
        return fill(argv[2]);
    if (argc == 2 && strcmp(argv[1], "ini") == 0)
        all(conf_example);
    else if (argc == 2 && strcmp(argv[1], "markdown") == 0)
        all(conf_markdown);
    else
        return EXIT_FAILURE;
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
