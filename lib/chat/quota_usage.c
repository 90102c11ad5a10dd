/* Reading the books. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/chat/lua_scripts.h"
#include "lib/chat/quota.h"

struct quota_read {
    struct redis_call *call;
    quota_usage_fn    *fn;
    void              *arg;
};

struct rows { struct quota_usage *row; size_t count, room; };

static void day_name(int64_t day, char out[11])
{
    time_t seconds = (time_t)(day * 24 * 60 * 60);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out, 11, "%Y-%m-%d", &tm);
}

/* The key's row of this day, which begins at row `from`; NULL: out of memory. */
static struct quota_usage *row_of(struct rows *rows, size_t from, int64_t day, const char *id,
                                  size_t len)
{
    struct quota_usage *more;

    for (size_t i = from; i < rows->count; i++)
        if (strlen(rows->row[i].id) == len && memcmp(rows->row[i].id, id, len) == 0)
            return &rows->row[i];
    if (rows->count == rows->room) {
        size_t room = rows->room ? 2 * rows->room : 16;

        more = realloc(rows->row, room * sizeof(*more));
        if (!more)
            return NULL;
        rows->row = more;
        rows->room = room;
    }
    more = &rows->row[rows->count++];
    memset(more, 0, sizeof(*more));
    day_name(day, more->day);
    memcpy(more->id, id, len);
    return more;
}

static void set_field(struct quota_usage *u, const char *what, const struct redisReply *value)
{
    const struct { const char *name; int64_t *field; } fields[] = {
        { "requests", &u->requests }, { "refused", &u->refused },       { "turns", &u->turns },
        { "prompt", &u->prompt },     { "completion", &u->completion }, { "total", &u->total },
        { "reserved", &u->reserved },
    };

    if (strcmp(what, "name") == 0)
        snprintf(u->name, sizeof(u->name), "%s", redis_reply_text(value).s);
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        if (strcmp(what, fields[i].name) == 0)
            *fields[i].field = redis_reply_int(value);
}

static bool read_day(struct rows *rows, int64_t day, const struct redisReply *fields)
{
    size_t from = rows->count;

    for (size_t i = 0; i + 1 < redis_reply_count(fields); i += 2) {
        const char *name = redis_reply_text(redis_reply_at(fields, i)).s;
        size_t len = strcspn(name, " ");
        struct quota_usage *u;

        if (!name[len] || len >= APIKEY_ID_SIZE)
            continue;
        u = row_of(rows, from, day, name, len);
        if (!u)
            return false;
        set_field(u, name + len + 1, redis_reply_at(fields, i + 1));
    }
    return true;
}

static int newest_then_name(const void *a, const void *b)
{
    const struct quota_usage *x = a, *y = b;
    int order = strcmp(y->day, x->day);

    if (!order)
        order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->id, y->id);
}

static void on_days(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct quota_read c = *(struct quota_read *)arg;
    struct rows rows = { NULL, 0, 0 };
    struct err oom = ERR_NONE;

    free(arg);
    for (size_t i = 0; !e && i + 1 < redis_reply_count(reply); i += 2)
        if (!read_day(&rows, redis_reply_int(redis_reply_at(reply, i)),
                      redis_reply_at(reply, i + 1))) {
            err_set(&oom, ERR_INTERNAL, "reading what was used: out of memory");
            e = &oom;
        }
    if (rows.count > 0)
        qsort(rows.row, rows.count, sizeof(*rows.row), newest_then_name);
    c.fn(c.arg, rows.row, e ? 0 : rows.count, e);
    free(rows.row);
}

struct quota_read *quota_read(struct redis *r, const char *tenant, int64_t days,
                              quota_usage_fn *fn, void *arg)
{
    struct key books = key_usage(tenant);
    struct redis_arg key = key_arg(&books), args[1];
    struct quota_read *c = malloc(sizeof(*c));
    char digits[24];

    if (!c)
        return NULL;
    snprintf(digits, sizeof(digits), "%" PRId64, days);
    args[0] = redis_str(digits);
    *c = (struct quota_read){ .fn = fn, .arg = arg };
    c->call = redis_eval(r, 0, &lua_quota_usage, &key, 1, args, 1, on_days, c);
    if (c->call)
        return c;
    free(c);
    return NULL;
}

void quota_read_cancel(struct quota_read *c)
{
    if (!c)
        return;
    redis_call_cancel(c->call);
    free(c);
}
