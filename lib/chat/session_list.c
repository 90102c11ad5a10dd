#include "lib/chat/session_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/keys.h"
#include "lib/chat/lua_scripts.h"

/* Entries one script looks at, when many of them have expired. */
#define LOOK_MAX "1000"

struct session_list {
    struct redis      *redis;       /* borrowed */
    struct redis_call *call;
    session_list_fn   *fn;
    void              *arg;
    struct key         index, all;
    char               username[KEYS_USERNAME_MAX + 1];
    char               limit[24];
    char               time[24];    /* where to go on, as the script says it; "" = begin */
    char               id[KEYS_SESSION_MAX];
    size_t             id_len;
};

/* --- the cursor: "<time>-<id in hex>" ---------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool cursor_read(struct session_list *l, const char *cursor)
{
    size_t digits = strspn(cursor, "0123456789");
    const char *hex = cursor + digits + 1;
    size_t len;

    if (digits == 0 || digits > 17 || cursor[digits] != '-')
        return false;
    len = strlen(hex);
    if (len == 0 || len % 2 || len / 2 > sizeof l->id)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);

        if (high < 0 || low < 0)
            return false;
        l->id[i / 2] = (char)(high * 16 + low);
    }
    memcpy(l->time, cursor, digits);
    l->time[digits] = '\0';
    l->id_len = len / 2;
    return true;
}

static void cursor_write(const struct session_list *l, char out[SESSION_CURSOR_SIZE])
{
    int n = snprintf(out, 24, "%s-", l->time);

    for (size_t i = 0; i < l->id_len; i++)
        n += sprintf(out + n, "%02x", (unsigned char)l->id[i]);
}

/* --- the read ---------------------------------------------------------------------------- */

static bool ask(struct session_list *l);

void session_list_cancel(struct session_list *l)
{
    if (!l)
        return;
    redis_call_cancel(l->call);
    free(l);
}

static void fail(struct session_list *l, const struct err *e)
{
    session_list_fn *fn = l->fn;
    void *arg = l->arg;

    free(l);
    fn(arg, NULL, e);
}

/* Where the next page begins. False: nothing follows. */
static bool take_place(struct session_list *l, const struct redisReply *reply)
{
    struct redis_arg time = redis_reply_text(redis_reply_at(reply, 0));
    struct redis_arg id = redis_reply_text(redis_reply_at(reply, 1));

    if (time.len == 0 || time.len >= sizeof l->time || id.len > sizeof l->id)
        return false;
    memcpy(l->time, time.s, time.len + 1);
    memcpy(l->id, id.s, id.len);
    l->id_len = id.len;
    return true;
}

static void on_page(void *arg, const struct redisReply *reply, const struct err *e)
{
    enum { HEAD = 2 };
    struct session_list *l = arg;
    size_t count = redis_reply_count(reply);
    struct session_record *items;
    struct session_list_page page;
    char cursor[SESSION_CURSOR_SIZE];
    struct err oom = ERR_NONE;
    bool more;

    l->call = NULL;
    if (e) {
        fail(l, e);
        return;
    }
    more = take_place(l, reply);
    err_set(&oom, ERR_INTERNAL, "listing sessions: out of memory");
    if (more && count <= HEAD) {        /* met only what has expired */
        if (!ask(l))
            fail(l, &oom);
        return;
    }
    items = calloc(count, sizeof *items);
    if (!items) {
        fail(l, &oom);
        return;
    }
    page = (struct session_list_page){ .items = items };
    for (size_t i = HEAD; i < count; i++) {
        const struct redisReply *row = redis_reply_at(reply, i);
        struct session_record *item = &items[page.count++];

        item->id = redis_reply_text(redis_reply_at(row, 0));
        session_record_take(item, row, 1);
    }
    if (more) {
        cursor_write(l, cursor);
        page.next_cursor = cursor;
    }
    l->fn(l->arg, &page, NULL);
    free(items);
    free(l);
}

static bool ask(struct session_list *l)
{
    l->call = redis_eval(l->redis, 0, &lua_session_list,
                         (struct redis_arg[]){ key_arg(&l->index), key_arg(&l->all) }, 2,
                         (struct redis_arg[]){
                             redis_str(l->username), redis_str(l->limit), REDIS_LIT(LOOK_MAX),
                             redis_str(l->time), { l->id, l->id_len },
                         }, 5, on_page, l);
    return l->call != NULL;
}

enum err_code session_list(struct redis *r, const struct session_list_query *q,
                           session_list_fn *fn, void *arg, struct session_list **out,
                           struct err *e)
{
    struct session_list *l = calloc(1, sizeof *l);

    if (!l)
        return err_set(e, ERR_INTERNAL, "listing sessions: out of memory");
    l->redis = r;
    l->fn = fn;
    l->arg = arg;
    l->all = l->index = key_sessions_index(q->tenant);
    if (q->username) {
        l->index = key_user_index(q->tenant, q->username, strlen(q->username));
        snprintf(l->username, sizeof l->username, "%s", q->username);
    }
    snprintf(l->limit, sizeof l->limit, "%" PRId64, q->limit);
    if (q->cursor && !cursor_read(l, q->cursor))
        err_field(e, "cursor", "is not one that a list has given");
    else if (!ask(l))
        err_set(e, ERR_INTERNAL, "listing sessions: out of memory");
    else {
        if (out)
            *out = l;
        return ERR_OK;
    }
    free(l);
    return e->code;
}
