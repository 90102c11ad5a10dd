#include "lib/base/err.h"

#include <stdio.h>
#include <string.h>

static const struct {
    int         status;
    const char *name;
    bool        shown;
    const char *title;
} rows[] = {
#define X(code, status, name, shown, title) [code] = { status, name, shown, title },
    ERR_TABLE(X)
#undef X
};

/* Copies s, cutting what does not fit, but never inside a character. */
static void copy_cut(char *out, size_t size, const char *s)
{
    size_t len = strlen(s);

    if (len >= size) {
        len = size - 1;
        for (size_t back = 0; back < 4 && back <= len; back++) {
            if (((unsigned char)s[len - back] & 0xC0) != 0x80) {
                len -= back;
                break;
            }
        }
    }
    memcpy(out, s, len);
    out[len] = '\0';
}

/* Long enough for any detail and one more layer around it. */
enum { SCRATCH = 2 * sizeof(((struct err *)0)->detail) };

static enum err_code set_va(struct err *e, enum err_code code, const char *field, const char *fmt,
                            va_list ap)
{
    char said[SCRATCH]; /* the arguments may point into *e */
    char whole[SCRATCH + sizeof(e->field) + 2];
    char name[sizeof(e->field)];

    if (!e)
        return code;
    vsnprintf(said, sizeof(said), fmt, ap);
    copy_cut(name, sizeof(name), field);
    snprintf(whole, sizeof(whole), "%s%s%s", name, *name ? ": " : "", said);
    *e = (struct err){ .code = code };
    memcpy(e->field, name, sizeof(name));
    copy_cut(e->detail, sizeof(e->detail), whole);
    return code;
}

enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_va(e, code, "", fmt, ap);
    va_end(ap);
    return code;
}

enum err_code err_field(struct err *e, const char *field, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_va(e, ERR_INVALID, field, fmt, ap);
    va_end(ap);
    return ERR_INVALID;
}

enum err_code err_wrap(struct err *e, const char *fmt, ...)
{
    char doing[SCRATCH], whole[SCRATCH + sizeof(e->detail) + 2];
    va_list ap;

    if (!e)
        return ERR_INTERNAL;
    if (e->code == ERR_OK)
        return ERR_OK;
    va_start(ap, fmt);
    vsnprintf(doing, sizeof(doing), fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof(whole), "%s%s%s", doing, *e->detail ? ": " : "", e->detail);
    copy_cut(e->detail, sizeof(e->detail), whole);
    return e->code;
}

int err_status(enum err_code code)
{
    return rows[code].status;
}

const char *err_name(enum err_code code)
{
    return rows[code].name;
}

const char *err_title(enum err_code code)
{
    return rows[code].title;
}

const char *err_public_detail(const struct err *e)
{
    return rows[e->code].shown && *e->detail ? e->detail : rows[e->code].title;
}
