#include "lib/chat/apikeys_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

enum { KEYS_MAX = 10000, LINE_SIZE = 1024 };

static int by_hash(const void *a, const void *b)
{
    const struct apikeys_entry *x = a, *y = b;

    return strcmp(x->hash, y->hash);
}

static enum err_code add(struct apikeys_file *f, const struct apikey_spec *spec,
                         const struct apikey_limits *fallback, struct err *e)
{
    struct apikeys_entry *more;

    if (f->count == KEYS_MAX)
        return err_set(e, ERR_INVALID, "more than %d keys: make them with confabctl key add",
                       KEYS_MAX);
    more = realloc(f->entries, (f->count + 1) * sizeof(*more));
    if (!more)
        return err_set(e, ERR_INTERNAL, "out of memory");
    f->entries = more;
    strcpy(more[f->count].hash, spec->hash);
    more[f->count].key = apikey_new(spec, NULL, fallback);
    if (!more[f->count].key)
        return err_set(e, ERR_INTERNAL, "out of memory");
    f->count++;
    return ERR_OK;
}

static enum err_code add_line(struct apikeys_file *f, char *line,
                              const struct apikey_limits *fallback, struct err *e)
{
    struct apikey_spec spec;

    line += strspn(line, " \t\r\n");
    if (!*line || *line == '#')
        return ERR_OK;
    if (apikey_parse(line, &spec, e) != ERR_OK)
        return e->code;
    return add(f, &spec, fallback, e);
}

static enum err_code add_file(struct apikeys_file *f, const char *path,
                              const struct apikey_limits *fallback, struct err *e)
{
    char line[LINE_SIZE];
    size_t number = 0;
    FILE *in = fopen(path, "re");

    if (!in)
        return err_set(e, ERR_INVALID, "API_KEYS_FILE ([server] api_keys_file): %.200s: %s", path,
                       strerror(errno));
    while (e->code == ERR_OK && fgets(line, sizeof(line), in)) {
        number++;
        if (strlen(line) == sizeof(line) - 1)
            err_set(e, ERR_INVALID, "is too long");
        else
            add_line(f, line, fallback, e);
    }
    fclose(in);
    if (e->code != ERR_OK)
        err_wrap(e, "API_KEYS_FILE ([server] api_keys_file): line %zu", number);
    return e->code;
}

enum err_code apikeys_file_read(struct apikeys_file *f, const char *path, const char *api_key,
                                const struct apikey_limits *fallback, struct err *e)
{
    struct apikey_spec only = { .tenant = "default", .name = "API_KEY", .limits = { -1, -1, -1 } };

    if (*path && add_file(f, path, fallback, e) != ERR_OK)
        return e->code;
    if (*api_key) {
        apikey_hash(api_key, strlen(api_key), only.hash);
        if (add(f, &only, fallback, e) != ERR_OK) {
            err_wrap(e, "API_KEY ([server] api_key)");
            return e->code;
        }
    }
    if (f->count > 0)
        qsort(f->entries, f->count, sizeof(*f->entries), by_hash);
    for (size_t i = 1; i < f->count; i++)
        if (by_hash(&f->entries[i - 1], &f->entries[i]) == 0)
            return err_set(e, ERR_INVALID, "API_KEYS_FILE ([server] api_keys_file): the key whose "
                           "hash begins with %.12s is given twice", f->entries[i].hash);
    return ERR_OK;
}

void apikeys_file_close(struct apikeys_file *f)
{
    for (size_t i = 0; i < f->count; i++)
        apikey_unref(f->entries[i].key);
    free(f->entries);
    *f = (struct apikeys_file){ NULL, 0 };
}

struct apikey *apikeys_file_find(const struct apikeys_file *f, const char *hash)
{
    struct apikeys_entry wanted, *found;

    if (f->count == 0)
        return NULL;
    strcpy(wanted.hash, hash);
    found = bsearch(&wanted, f->entries, f->count, sizeof(wanted), by_hash);
    return found ? found->key : NULL;
}
