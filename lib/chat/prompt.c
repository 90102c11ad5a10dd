#include "lib/chat/prompt.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"

enum { PROMPT_MAX = 64 * 1024, NAMES_MAX = 64 * 1024 };

struct prompts {
    struct prompt *list;                    /* owned, with its texts; sorted by name */
    size_t         count;
    char          *names;                   /* owned */
};

static bool is_prompt_file(const char *file)
{
    size_t len = strlen(file);

    return file[0] != '.' && len > 3 && strcmp(file + len - 3, ".md") == 0;
}

static enum err_code read_file(const char *path, struct buf *out, struct err *e)
{
    FILE  *f = fopen(path, "re");
    char   bytes[4096];
    size_t n;
    bool   broken;

    if (!f)
        return err_set(e, ERR_INVALID, "%s: %s", path, strerror(errno));
    errno = 0;
    while (buf_ok(out) && (n = fread(bytes, 1, sizeof(bytes), f)) > 0)
        buf_add(out, bytes, n);
    broken = ferror(f) != 0;
    if (broken)
        err_set(e, ERR_INVALID, "%s: %s", path, strerror(errno));
    fclose(f);
    if (broken)
        return ERR_INVALID;
    if (!buf_ok(out))
        return err_set(e, ERR_INVALID, "%s: larger than %d bytes", path, PROMPT_MAX);
    return ERR_OK;
}

/* Editors end files with a newline, some begin them with a mark: neither is for the model. */
static enum err_code check(const char *path, struct buf *text, struct err *e)
{
    if (text->len >= 3 && memcmp(text->data, "\xEF\xBB\xBF", 3) == 0)
        buf_consume(text, 3);
    if (memchr(text->data, '\0', text->len) || !text_is_utf8(text->data, text->len))
        return err_set(e, ERR_INVALID, "%s: not a text in UTF-8", path);
    return ERR_OK;
}

static enum err_code trim(const char *path, struct buf *text, struct err *e)
{
    while (text->len > 0 && strchr(" \t\r\n", text->data[text->len - 1]))
        text->data[--text->len] = '\0';
    return text->len > 0 ? ERR_OK : err_set(e, ERR_INVALID, "%s: empty", path);
}

static void prompt_close(struct prompt *p)
{
    free(p->name);
    free(p->text);
    free(p->model);
}

static enum err_code read_prompt(const char *path, struct prompt *p, struct err *e)
{
    struct buf    text;
    enum err_code code;

    buf_init(&text, PROMPT_MAX);
    code = read_file(path, &text, e);
    if (code == ERR_OK)
        code = check(path, &text, e);
    if (code == ERR_OK)
        code = prompt_head_read(p, &text, path, e);
    if (code == ERR_OK)
        code = trim(path, &text, e);
    if (code == ERR_OK)
        p->text = buf_steal(&text, NULL);
    buf_close(&text);
    return code;
}

/* Takes over what the prompt owns. */
static bool add(struct prompts *p, const struct prompt *one)
{
    struct prompt *grown = realloc(p->list, (p->count + 1) * sizeof(*grown));

    if (!grown)
        return false;
    p->list = grown;
    grown[p->count++] = *one;
    return true;
}

static enum err_code load_one(struct prompts *p, const char *dir, const char *file, struct err *e)
{
    struct prompt one = { .name = strndup(file, strlen(file) - 3) };
    struct buf    path;
    enum err_code code;

    buf_init(&path, 4096);
    if (!buf_addf(&path, "%s/%s", dir, file))
        code = err_set(e, ERR_INVALID, "%s: the path is too long", file);
    else
        code = read_prompt(path.data, &one, e);
    if (code == ERR_OK && !(one.name && one.text && add(p, &one)))
        code = err_set(e, ERR_INTERNAL, "out of memory");
    if (code != ERR_OK)
        prompt_close(&one);
    buf_close(&path);
    return code;
}

static enum err_code load_all(struct prompts *p, const char *dir, struct err *e)
{
    DIR           *d = opendir(dir);
    struct dirent *entry;
    enum err_code  code = ERR_OK;

    if (!d)
        return err_set(e, ERR_INVALID, "%s: %s", dir, strerror(errno));
    while (code == ERR_OK && (entry = readdir(d)))
        if (is_prompt_file(entry->d_name))
            code = load_one(p, dir, entry->d_name, e);
    closedir(d);
    return code;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct prompt *)a)->name, ((const struct prompt *)b)->name);
}

static enum err_code finish(struct prompts *p, const char *dir, struct err *e)
{
    struct buf names;

    if (p->count > 0)
        qsort(p->list, p->count, sizeof(*p->list), by_name);
    if (!prompts_get(p, "default"))
        return err_set(e, ERR_INVALID, "%s/default.md: missing", dir);
    buf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < p->count; i++)
        buf_addf(&names, "%s%s", i ? ", " : "", p->list[i].name);
    if (buf_ok(&names))
        p->names = buf_steal(&names, NULL);
    buf_close(&names);
    return p->names ? ERR_OK : err_set(e, ERR_INVALID, "%s: too many prompts", dir);
}

enum err_code prompts_load(const char *dir, struct prompts **out, struct err *e)
{
    struct prompts *p = calloc(1, sizeof(*p));
    enum err_code   code;

    *out = NULL;
    if (!p)
        return err_set(e, ERR_INTERNAL, "out of memory");
    code = load_all(p, dir, e);
    if (code == ERR_OK)
        code = finish(p, dir, e);
    if (code != ERR_OK) {
        prompts_free(p);
        return err_wrap(e, "reading the prompts");
    }
    *out = p;
    return ERR_OK;
}

void prompts_free(struct prompts *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        prompt_close(&p->list[i]);
    free(p->list);
    free(p->names);
    free(p);
}

const struct prompt *prompts_find(const struct prompts *p, const char *name)
{
    struct prompt key = { .name = name[0] ? (char *)name : (char *)"default" };

    if (p->count == 0)
        return NULL;
    return bsearch(&key, p->list, p->count, sizeof(*p->list), by_name);
}

const char *prompts_get(const struct prompts *p, const char *name)
{
    const struct prompt *found = prompts_find(p, name);

    return found ? found->text : NULL;
}

const char *prompts_names(const struct prompts *p)
{
    return p->names;
}
