/* Reading a stretch of a dialog. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/chat/lua_scripts.h"
#include "lib/chat/session_turn.h"

struct session_read {
    struct sessions     *sessions;      /* borrowed */
    struct session_read *prev, *next;
    struct redis_call   *call;
    session_page_fn     *fn;
    void                *arg;
};

static void read_free(struct session_read *r)
{
    redis_call_cancel(r->call);
    if (r->prev)
        r->prev->next = r->next;
    else
        r->sessions->reads = r->next;
    if (r->next)
        r->next->prev = r->prev;
    free(r);
}

void session_reads_free(struct sessions *s)
{
    while (s->reads)
        read_free(s->reads);
}

bool session_page_take(const struct redisReply *reply, struct session_page *page)
{
    enum { HEAD = 3 };
    size_t count = redis_reply_count(reply);
    struct session_part *parts = calloc(count + 1, sizeof *parts);

    *page = (struct session_page){
        .exists = count >= HEAD,
        .turns = redis_reply_int(redis_reply_at(reply, 0)),
        .created_at = redis_reply_int(redis_reply_at(reply, 1)),
        .updated_at = redis_reply_int(redis_reply_at(reply, 2)),
        .entries = parts,
        .count = count >= HEAD ? count - HEAD : 0,
    };
    for (size_t i = 0; parts && i < page->count; i++) {
        struct redis_arg entry = redis_reply_text(redis_reply_at(reply, i + HEAD));

        parts[i] = (struct session_part){ entry.s, entry.len };
    }
    return parts;
}

void session_page_drop(struct session_page *page)
{
    free((struct session_part *)page->entries);
}

static void on_page(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_read *r = arg;
    session_page_fn *fn = r->fn;
    void *fn_arg = r->arg;
    struct session_page page;

    r->call = NULL;
    read_free(r);
    if (e) {
        fn(fn_arg, NULL, e);
        return;
    }
    if (!session_page_take(reply, &page)) {
        struct err oom = ERR_NONE;

        err_set(&oom, ERR_INTERNAL, "reading a dialog: out of memory");
        fn(fn_arg, NULL, &oom);
        return;
    }
    fn(fn_arg, &page, NULL);
    session_page_drop(&page);
}

struct session_read *session_read(struct sessions *s, const char *tenant, const char *id,
                                  size_t id_len, int64_t first, int64_t count, session_page_fn *fn,
                                  void *arg)
{
    return session_read_as_of(s, tenant, id, id_len, 0, first, count, fn, arg);
}

struct session_read *session_read_as_of(struct sessions *s, const char *tenant, const char *id,
                                        size_t id_len, int64_t as_of, int64_t first, int64_t count,
                                        session_page_fn *fn, void *arg)
{
    struct key hash = key_session(tenant, id, id_len, "");
    struct key msgs = key_session(tenant, id, id_len, "msgs");
    struct key kept = key_session(tenant, id, id_len, "kept");
    struct key kept_msgs = key_session(tenant, id, id_len, "kept:msgs");
    struct redis_arg keys[] = { key_arg(&hash), key_arg(&msgs), key_arg(&kept),
                                key_arg(&kept_msgs) };
    char from[24], many[24], bytes[24], then[24];
    struct session_read *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    snprintf(from, sizeof from, "%" PRId64, first);
    snprintf(many, sizeof many, "%" PRId64, count);
    snprintf(bytes, sizeof bytes, "%d", SESSION_PAGE_BYTES);
    snprintf(then, sizeof then, "%" PRId64, as_of);
    r->sessions = s;
    r->fn = fn;
    r->arg = arg;
    r->next = s->reads;
    if (r->next)
        r->next->prev = r;
    s->reads = r;
    r->call = redis_eval(s->redis, 0, &lua_turn_page, keys, 4,
                         (struct redis_arg[]){ redis_str(from), redis_str(many), redis_str(bytes),
                                               redis_str(then) }, 4, on_page, r);
    if (!r->call) {
        read_free(r);
        return NULL;
    }
    return r;
}

void session_read_cancel(struct session_read *r)
{
    if (r)
        read_free(r);
}
