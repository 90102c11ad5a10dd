/* The table of settings as people and scripts read it. */

#include <inttypes.h>
#include <string.h>

#include "lib/base/conf.h"

static bool starts_section(const struct conf_row *rows, size_t i)
{
    return i == 0 || strcmp(rows[i].section, rows[i - 1].section) != 0;
}

static const char *dflt_of(const struct conf_row *row)
{
    return row->dflt ? row->dflt : "";
}

static const char *file_suffix(const struct conf_row *row)
{
    return row->type == CONF_SECRET ? "[_FILE]" : "";
}

/* "wait|reject" is said behind the help, after a blank. */
static void print_choices(const struct conf_row *row, FILE *out)
{
    if (row->type == CONF_CHOICE)
        fprintf(out, " (%s)", row->choices);
}

void conf_help(const struct conf_row *rows, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct conf_row *row = &rows[i];

        if (starts_section(rows, i))
            fprintf(out, "%s[%s]\n", i ? "\n" : "", row->section);
        fprintf(out, "  %s (%s%s)", row->name, row->env, file_suffix(row));
        if (*dflt_of(row))
            fprintf(out, " = %s", dflt_of(row));
        fprintf(out, "\n      %s", row->help);
        print_choices(row, out);
        fputc('\n', out);
    }
}

/* A leading dot or quote is a request to roff, a backslash its escape, and a plain '-' is a hyphen. */
static void print_roff(const char *s, FILE *out)
{
    if (*s == '.' || *s == '\'')
        fputs("\\&", out);
    for (; *s; s++) {
        if (*s == '\\')
            fputs("\\e", out);
        else if (*s == '-')
            fputs("\\-", out);
        else
            fputc(*s, out);
    }
}

void conf_man(const struct conf_row *rows, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct conf_row *row = &rows[i];

        if (starts_section(rows, i))
            fprintf(out, ".SS [%s]\n", row->section);
        fprintf(out, ".TP\n.BR %s \" (\" %s%s )\n", row->name, row->env, file_suffix(row));
        print_roff(row->help, out);
        print_choices(row, out);
        fputs(".\n", out);
        if (*dflt_of(row)) {
            fputs("Default: ", out);
            print_roff(dflt_of(row), out);
            fputs(".\n", out);
        }
    }
}

/* A '|' would end the cell. */
static void print_cell(const char *s, FILE *out)
{
    for (; *s; s++) {
        if (*s == '|')
            fputc('\\', out);
        fputc(*s, out);
    }
}

void conf_markdown(const struct conf_row *rows, size_t count, FILE *out)
{
    fputs("| in the environment | in the file | default | |\n| --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < count; i++) {
        const struct conf_row *row = &rows[i];

        fprintf(out, "| `%s`%s | `[%s] %s` | ", row->env, row->type == CONF_SECRET ? ", `_FILE`" : "",
                row->section, row->name);
        if (*dflt_of(row))
            fprintf(out, "`%s`", dflt_of(row));
        fputs(" | ", out);
        print_cell(row->help, out);
        if (row->type == CONF_CHOICE) {
            fputs(" (", out);
            print_cell(row->choices, out);
            fputc(')', out);
        }
        fputs(" |\n", out);
    }
}

void conf_example(const struct conf_row *rows, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct conf_row *row = &rows[i];

        if (starts_section(rows, i))
            fprintf(out, "%s[%s]\n", i ? "\n" : "", row->section);
        fprintf(out, "\n# %s", row->help);
        print_choices(row, out);
        fprintf(out, "; %s%s\n#%s =%s%s\n", row->env, file_suffix(row), row->name,
                *dflt_of(row) ? " " : "", dflt_of(row));
    }
}

static void print_choice(const struct conf_row *row, int choice, FILE *out)
{
    const char *at = row->choices;

    while (choice-- > 0)
        at += strcspn(at, "|") + 1;
    fprintf(out, "%.*s\n", (int)strcspn(at, "|"), at);
}

static void print_value(const struct conf_row *row, const void *field, FILE *out)
{
    switch (row->type) {
    case CONF_TEXT:   fprintf(out, "%s\n", *(char *const *)field); break;
    case CONF_INT:
    case CONF_TIME:
    case CONF_SIZE:   fprintf(out, "%" PRId64 "\n", *(const int64_t *)field); break;
    case CONF_NUMBER: fprintf(out, "%g\n", *(const double *)field); break;
    case CONF_BOOL:   fprintf(out, "%s\n", *(const bool *)field ? "on" : "off"); break;
    case CONF_CHOICE: print_choice(row, *(const int *)field, out); break;
    case CONF_SECRET: break;
    }
}

bool conf_print(const struct conf_row *rows, size_t count, const void *settings,
                const char *name, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct conf_row *row = &rows[i];
        size_t section = strlen(row->section);

        if (strncmp(name, row->section, section) != 0 || name[section] != '.' ||
            strcmp(name + section + 1, row->name) != 0)
            continue;
        if (row->type == CONF_SECRET)
            return false;
        print_value(row, (const char *)settings + row->offset, out);
        return true;
    }
    return false;
}
