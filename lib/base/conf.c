#include "lib/base/conf.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 16384, WHERE_SIZE = 512 };

/* What somebody wrote for one row. */
struct given {
    char *value;              /* owned; NULL: nothing, or an empty value */
    char *path;               /* owned; of the file that holds a secret, NULL: none */
    char  where[WHERE_SIZE];  /* for the report */
};

struct load {
    const struct conf_row *rows;
    size_t                 count;
    struct given          *given;     /* one a row */
    const char            *file;
    FILE                  *stream;    /* of the file */
    int                    line;      /* of the file, the one being read */
    bool                   line_ended;
    FILE                  *report;
    bool                   ok;
};

static void fault(struct load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct load *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(l->report, fmt, ap);
    va_end(ap);
    fputc('\n', l->report);
    l->ok = false;
}

static void forget(struct given *g)
{
    free(g->value);
    free(g->path);
    *g = (struct given){ 0 };
}

static bool is_secret(const struct conf_row *row)
{
    return row->type == CONF_SECRET;
}

/* Is name the row's own name, or with the suffix that gives a secret's file? */
static bool names_row(const struct conf_row *row, const char *own, const char *suffix,
                      const char *name, bool *is_path)
{
    size_t len = strlen(own);

    if (strncmp(name, own, len) != 0)
        return false;
    *is_path = is_secret(row) && strcmp(name + len, suffix) == 0;
    return *is_path || name[len] == '\0';
}

static void give(struct load *l, struct given *g, const char *value, bool is_path)
{
    char **field = is_path ? &g->path : &g->value;

    if (*field || (is_path ? g->value : g->path)) {
        fault(l, "%s: is given twice", g->where);
        return;
    }
    *field = strdup(value);
    if (!*field)
        fault(l, "%s: finds no memory", g->where);
}

/* --- the file ------------------------------------------------------------------------------ */

/* fgets, which knows the number of the line. */
static char *read_line(char *out, int size, void *arg)
{
    struct load *l = arg;

    if (!fgets(out, size, l->stream))
        return NULL;
    if (l->line_ended)
        l->line++;
    l->line_ended = strchr(out, '\n') != NULL;
    return out;
}

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct load *l = arg;

    for (size_t i = 0; i < l->count; i++) {
        const struct conf_row *row = &l->rows[i];
        struct given *g = &l->given[i];
        bool is_path;

        if (strcmp(row->section, section) != 0 ||
            !names_row(row, row->name, "_file", name, &is_path))
            continue;
        snprintf(g->where, sizeof(g->where), "%s:%d: [%s] %s", l->file, l->line, section, name);
        if (*value)
            give(l, g, value, is_path);
        return 1;
    }
    fault(l, "%s:%d: there is no setting [%s] %s", l->file, l->line, section, name);
    return 1;
}

/* inih's own are 199 bytes a line, comments behind " ;" and continuation lines. */
static void set_manner(void)
{
    ini_use_stack = false;
    ini_allow_realloc = true;
    ini_max_line = LINE_MAX_BYTES;
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
}

static void read_file(struct load *l)
{
    int bad_line;

    l->stream = fopen(l->file, "re");
    if (!l->stream) {
        fault(l, "%s: %s", l->file, strerror(errno));
        return;
    }
    set_manner();
    l->line_ended = true;
    bad_line = ini_parse_stream(read_line, l, on_pair, l);
    if (bad_line > 0)
        fault(l, "%s:%d: is neither [section] nor name = value", l->file, bad_line);
    if (bad_line < 0 || ferror(l->stream))
        fault(l, "%s: cannot be read", l->file);
    fclose(l->stream);
}

/* --- its sections with a name of their own ------------------------------------------------- */

struct naming { const char *kind; void (*found)(void *arg, const char *name); void *arg; };

static int on_named(void *arg, const char *section, const char *name, const char *value)
{
    struct naming *n = arg;
    size_t kind = strlen(n->kind), len = strlen(section);
    char quoted[64];

    (void)name;
    (void)value;
    if (len < kind + 3 || len >= sizeof(quoted) || strncmp(section, n->kind, kind) != 0 ||
        section[kind] != ' ' || section[kind + 1] != '"' || section[len - 1] != '"')
        return 1;
    snprintf(quoted, sizeof(quoted), "%.*s", (int)(len - kind - 3), section + kind + 2);
    n->found(n->arg, quoted);
    return 1;
}

void conf_names(const char *file, const char *kind, void (*found)(void *arg, const char *name),
                void *arg)
{
    struct naming n = { kind, found, arg };
    FILE *in = fopen(file, "re");

    if (!in)
        return;
    set_manner();
    ini_parse_file(in, on_named, &n);
    fclose(in);
}

/* --- the environment ----------------------------------------------------------------------- */

/* What the environment gives replaces what the file gave, the path of a secret included. */
static void read_env(struct load *l, size_t i, char *const *env)
{
    const struct conf_row *row = &l->rows[i];
    struct given found = { 0 };

    for (; *env; env++) {
        const char *value = strchr(*env, '=');
        char name[128];
        bool is_path;

        if (!value || (size_t)(value - *env) >= sizeof(name) || !value[1])
            continue;
        memcpy(name, *env, (size_t)(value - *env));
        name[value - *env] = '\0';
        if (!names_row(row, row->env, "_FILE", name, &is_path))
            continue;
        snprintf(found.where, sizeof(found.where), "%s", name);
        give(l, &found, value + 1, is_path);
    }
    if (found.value || found.path) {
        forget(&l->given[i]);
        l->given[i] = found;
    }
}

/* --- into the struct ----------------------------------------------------------------------- */

/* The first line of a secret's file becomes its value. */
static bool read_secret(struct load *l, struct given *g)
{
    char line[LINE_MAX_BYTES] = "";
    FILE *f = fopen(g->path, "re");
    bool readable = f && (fgets(line, sizeof(line), f) || !ferror(f));

    if (!readable)
        fault(l, "%s: cannot read %s: %s", g->where, g->path, strerror(errno));
    if (f)
        fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    if (readable && !*line)
        fault(l, "%s: %s is empty", g->where, g->path);
    if (*line)
        g->value = strdup(line);
    return g->value != NULL;
}

static void apply(struct load *l, size_t i, void *settings)
{
    const struct conf_row *row = &l->rows[i];
    struct given *g = &l->given[i];
    bool is_text = row->type == CONF_TEXT || is_secret(row);
    const char *dflt = row->dflt ? row->dflt : is_text ? "" : NULL;
    const char *wrong;

    /* First the default, so that every field has a value whatever is found. */
    wrong = dflt ? conf_set(row, settings, dflt) : NULL;
    assert(!wrong);
    if (g->path && !read_secret(l, g))
        return;
    if (!g->value)
        return;
    wrong = conf_set(row, settings, g->value);
    if (wrong && is_secret(row))
        fault(l, "%s: the value %s", g->where, wrong);
    else if (wrong)
        fault(l, "%s: \"%s\" %s", g->where, g->value, wrong);
    if (row->given)
        *(bool *)((char *)settings + row->given) = true;
}

bool conf_load(const struct conf_row *rows, size_t count, void *settings,
               const char *file, char *const *env, FILE *report)
{
    struct load l = { .rows = rows, .count = count, .file = file, .report = report, .ok = true };

    l.given = calloc(count ? count : 1, sizeof(*l.given));
    if (!l.given) {
        fault(&l, "settings: no memory");
        return false;
    }
    if (file)
        read_file(&l);
    for (size_t i = 0; i < count; i++) {
        read_env(&l, i, env);
        apply(&l, i, settings);
        forget(&l.given[i]);
    }
    free(l.given);
    return l.ok;
}

void conf_free(const struct conf_row *rows, size_t count, void *settings)
{
    for (size_t i = 0; i < count; i++) {
        char **field = (void *)((char *)settings + rows[i].offset);

        if (rows[i].type != CONF_TEXT && !is_secret(&rows[i]))
            continue;
        free(*field);
        *field = NULL;
    }
}
