/* Writes the table of settings for the manual, the README and the example file, so that none
 * of them can differ from the code. Run by make, never installed.
 *
 *   settings_doc ini | markdown
 *   settings_doc man TEMPLATE       the template, with @SETTINGS@ and @VERSION@ filled in */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/settings.h"

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
            conf_man(settings_rows, settings_count, stdout);
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
        conf_example(settings_rows, settings_count, stdout);
    else if (argc == 2 && strcmp(argv[1], "markdown") == 0)
        conf_markdown(settings_rows, settings_count, stdout);
    else
        return EXIT_FAILURE;
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
