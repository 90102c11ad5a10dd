/* Each script's head in lua/ tells the order of its keys and arguments, and what it answers. */
#include "lib/chat/task_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/session.h"
#include "lib/chat/task_call.h"

/* --- stream entry -> task --- */

static void on_reserved(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;
    struct err fault = ERR_NONE;
    struct task t;

    free(arg);
    if (e) {
        c.tell.reserved(c.arg, TASK_HELD, NULL, e);
    } else if (task_reply_says(reply, "settled")) {
        c.tell.reserved(c.arg, TASK_SETTLED, NULL, NULL);
    } else if (task_reply_says(reply, "held")) {
        c.tell.reserved(c.arg, TASK_HELD, NULL, NULL);
    } else if (task_from_reply(c.id, redis_reply_at(reply, 1), &t, &fault)) {
        err_wrap(&fault, "reserving");
        c.tell.reserved(c.arg, TASK_HELD, NULL, &fault);
    } else {
        c.tell.reserved(c.arg, TASK_RESERVED, &t, NULL);
    }
}

struct task_call *task_reserve(struct redis *r, const struct settings *s, const char *id,
                               const char *entry, const char *token, const char *consumer,
                               task_reserve_fn *fn, void *arg)
{
    struct task_call call = { .tell.reserved = fn, .arg = arg };
    struct task_args a = { .keys = 0 };
    struct key task;

    /* What is no id names no task, so that its entry is deleted. */
    if (task_id_ok(id, strlen(id)))
        snprintf(call.id, sizeof call.id, "%s", id);
    task = key_task(call.id);
    task_args_key(&a, &task);
    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_text(&a, KEYS_TASKS_GROUP);
    task_args_text(&a, consumer);
    task_args_text(&a, entry);
    task_args_text(&a, token);
    task_args_number(&a, s->tasks.lease);
    return task_call_send(r, &lua_task_reserve, &a, &call, on_reserved);
}

/* --- under the fence --- */

static void on_fenced(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;

    free(arg);
    c.tell.fenced(c.arg, !e && task_reply_says(reply, "held"), e);
}

struct task_call *task_renew(struct redis *r, const struct settings *s, const struct task_hold *h,
                             task_fenced_fn *fn, void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct key task = key_task(h->task->id);
    struct task_args a = { .keys = 0 };

    task_args_key(&a, &task);
    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_text(&a, KEYS_TASKS_GROUP);
    task_args_text(&a, h->consumer);
    task_args_text(&a, h->token);
    task_args_number(&a, s->tasks.lease);
    return task_call_send(r, &lua_task_renew, &a, &call, on_fenced);
}

struct task_call *task_record(struct redis *r, const struct settings *s, const struct task_hold *h,
                              const char *store, const char *document, task_fenced_fn *fn,
                              void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct key task = key_task(h->task->id);
    struct task_args a = { .keys = 0 };

    task_args_key(&a, &task);
    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_name(&a, KEYS_TASKS_SWEPT);
    task_args_text(&a, KEYS_TASKS_GROUP);
    task_args_text(&a, h->consumer);
    task_args_text(&a, h->token);
    task_args_number(&a, s->tasks.lease);
    task_args_text(&a, store);
    task_args_text(&a, document);
    return task_call_send(r, &lua_task_record, &a, &call, on_fenced);
}

/* The keys of what ends a task for good. */
struct settle_keys { struct key task, session, msgs; };

static struct settle_keys settle_keys(const struct task *t)
{
    size_t len = strlen(t->session);

    return (struct settle_keys){
        .task = key_task(t->id),
        .session = key_session(t->tenant, t->session, len, ""),
        .msgs = key_session(t->tenant, t->session, len, "msgs"),
    };
}

static void add_settle(struct task_args *a, const struct settle_keys *k,
                       const struct task_hold *h)
{
    task_args_key(a, &k->task);
    task_args_name(a, KEYS_TASKS_STREAM);
    task_args_name(a, KEYS_TASKS_OPEN);
    task_args_key(a, &k->session);
    task_args_key(a, &k->msgs);
    task_args_text(a, KEYS_TASKS_GROUP);
    task_args_text(a, h->token);
    task_args_text(a, h->task->id);
}

struct task_call *task_finish(struct redis *r, const struct settings *s, const struct task_hold *h,
                              const char *store, const char *document, task_fenced_fn *fn,
                              void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct settle_keys keys = settle_keys(h->task);
    char life[SESSION_LIFE_SIZE];
    struct task_args a = { .keys = 0 };

    add_settle(&a, &keys, h);
    task_args_text(&a, store);
    task_args_text(&a, document);
    task_args_number(&a, s->tasks.ttl);
    task_args_text(&a, session_life(s, life));
    return task_call_send(r, &lua_task_finish, &a, &call, on_fenced);
}

/* The words of an error as the record takes them: whole, valid UTF-8 that fits. */
static void add_detail(struct task_args *a, const char *detail)
{
    size_t len = strnlen(detail, sizeof ((struct task *)0)->error_detail - 1);

    a->argv[a->args++] = (struct redis_arg){ detail, text_utf8_prefix(detail, len) };
}

struct task_call *task_fail(struct redis *r, const struct settings *s, const struct task_hold *h,
                            const char *code, const char *detail, task_fenced_fn *fn, void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct settle_keys keys = settle_keys(h->task);
    char life[SESSION_LIFE_SIZE];
    struct task_args a = { .keys = 0 };

    add_settle(&a, &keys, h);
    task_args_text(&a, code);
    add_detail(&a, detail);
    task_args_text(&a, session_life(s, life));
    return task_call_send(r, &lua_task_fail, &a, &call, on_fenced);
}

struct task_call *task_postpone(struct redis *r, const struct task_hold *h, int64_t delay_ms,
                                bool counts, const char *code, const char *detail,
                                task_fenced_fn *fn, void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct key task = key_task(h->task->id);
    struct task_args a = { .keys = 0 };

    task_args_key(&a, &task);
    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_name(&a, KEYS_TASKS_DUE);
    task_args_text(&a, KEYS_TASKS_GROUP);
    task_args_text(&a, h->token);
    task_args_text(&a, h->task->id);
    task_args_number(&a, delay_ms);
    task_args_number(&a, counts);
    task_args_text(&a, code);
    add_detail(&a, detail);
    return task_call_send(r, &lua_task_postpone, &a, &call, on_fenced);
}

/* --- the queue as a whole --- */

enum { RECONCILE_PAGE = 100 };

static void on_done(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;

    free(arg);
    c.tell.done(c.arg, e ? 0 : redis_reply_int(reply), e);
}

struct task_call *task_group(struct redis *r, task_done_fn *fn, void *arg)
{
    struct task_call call = { .tell.done = fn, .arg = arg };
    struct task_args a = { .keys = 0 };

    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_text(&a, KEYS_TASKS_GROUP);
    return task_call_send(r, &lua_task_group, &a, &call, on_done);
}

struct task_call *task_wake_due(struct redis *r, task_done_fn *fn, void *arg)
{
    struct task_call call = { .tell.done = fn, .arg = arg };
    struct key prefix = key_task("");
    struct task_args a = { .keys = 0 };

    task_args_name(&a, KEYS_TASKS_DUE);
    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_text(&a, prefix.s);
    task_args_number(&a, TASK_WAKE_MAX);
    return task_call_send(r, &lua_task_wake_due, &a, &call, on_done);
}

struct task_call *task_forget_consumers(struct redis *r, int64_t idle_ms, task_done_fn *fn,
                                        void *arg)
{
    struct task_call call = { .tell.done = fn, .arg = arg };
    struct task_args a = { .keys = 0 };

    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_text(&a, KEYS_TASKS_GROUP);
    task_args_number(&a, idle_ms);
    return task_call_send(r, &lua_task_forget_consumers, &a, &call, on_done);
}

static void on_reconciled(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;
    struct redis_arg next = redis_reply_text(redis_reply_at(reply, 0));

    free(arg);
    c.tell.reconciled(c.arg, redis_reply_int(redis_reply_at(reply, 1)),
                      strtoull(next.s, NULL, 10), e);
}

struct task_call *task_reconcile(struct redis *r, uint64_t cursor, task_reconciled_fn *fn,
                                 void *arg)
{
    struct task_call call = { .tell.reconciled = fn, .arg = arg };
    struct key prefix = key_task("");
    struct task_args a = { .keys = 0 };
    char from[24];

    snprintf(from, sizeof from, "%llu", (unsigned long long)cursor);
    task_args_name(&a, KEYS_TASKS_OPEN);
    task_args_name(&a, KEYS_TASKS_STREAM);
    task_args_name(&a, KEYS_TASKS_DUE);
    task_args_text(&a, KEYS_TASKS_GROUP);
    task_args_text(&a, prefix.s);
    task_args_text(&a, from);
    task_args_number(&a, RECONCILE_PAGE);
    return task_call_send(r, &lua_task_reconcile, &a, &call, on_reconciled);
}
