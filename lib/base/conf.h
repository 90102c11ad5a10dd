#ifndef CONFAB_CONF_H
#define CONFAB_CONF_H
/* Settings from an INI file and the environment, by one table.
 *
 * A row says the section and name in the file, the name in the environment (which
 * wins), the type, the default, the bounds and a line of help; the same rows make
 * --help, the man page and the example file. A wrong value, an unknown name or section,
 * or a secret file that cannot be read stops the start and names itself. An empty value
 * counts as not given.
 *
 * In the file a comment is a line of its own, so that a value may hold any character. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"

enum conf_type {
    CONF_TEXT,      /* char *, owned by the settings; "" when not given and no default */
    CONF_SECRET,    /* the same; never printed; NAME_FILE in the environment and name_file in
                       the file give the path of a file whose first line is the value */
    CONF_INT,       /* int64_t */
    CONF_TIME,      /* int64_t, milliseconds; written "500ms", "30s", "5m", "1h", "30d", or a
                       bare number of seconds */
    CONF_SIZE,      /* int64_t, bytes; written "4096", "32k", "1m" (1024s) */
    CONF_NUMBER,    /* double */
    CONF_BOOL,      /* bool; on|off, yes|no, true|false, 1|0 */
    CONF_CHOICE,    /* int: the index in `choices` */
};

struct conf_row {
    const char    *section, *name, *env;
    enum conf_type type;
    size_t         offset;        /* of the field in the settings struct */
    const char    *dflt;          /* as it would be written; NULL = "" */
    int64_t        min, max;      /* of numbers, times, sizes; of texts the length in bytes */
    const char    *choices;       /* "a|b|c" for CONF_CHOICE */
    const char    *help;          /* one line */
    size_t         given;         /* of a bool that says whether it was given; 0 = not asked */
};

/* Fills *settings (zeroed by the caller) from the defaults, then `file` (NULL or a path;
 * must exist when given), then `environ`-like env. Every fault found is printed
 * on `report`, one line each; false if there was any. Also then conf_free is due. No
 * secret is ever printed. */
bool conf_load(const struct conf_row *rows, size_t count, void *settings,
               const char *file, char *const *env, FILE *report);
void conf_free(const struct conf_row *rows, size_t count, void *settings);

/* Calls found for each setting in a section [kind "name"] of the file, in its order; a name may
 * come again. For rows that are made per name, before conf_load, which reports what is wrong. */
void conf_names(const char *file, const char *kind, void (*found)(void *arg, const char *name),
                void *arg);

/* Puts one value, as it would be written, into its field. NULL, or what is wrong with it
 * ("has to be a time: 500ms, 30s, 5m, 1h, 30d"), valid until the next call. */
const char *conf_set(const struct conf_row *row, void *settings, const char *value);

/* The table as text: names, defaults, help. */
void conf_help(const struct conf_row *rows, size_t count, FILE *out);
/* The same as rows for a man page (man macros), as a Markdown table, and as an INI file with
 * every setting commented out. */
void conf_markdown(const struct conf_row *rows, size_t count, FILE *out);
void conf_man(const struct conf_row *rows, size_t count, FILE *out);
void conf_example(const struct conf_row *rows, size_t count, FILE *out);
/* One value, for scripts: `name` is "section.name"; times are milliseconds, sizes bytes.
 * False, and nothing printed, when there is no such setting or it is a secret. */
bool conf_print(const struct conf_row *rows, size_t count, const void *settings,
                const char *name, FILE *out);

#endif
