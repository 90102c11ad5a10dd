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

static void tell_reserved(const struct task_call *c, enum task_reserved what, const struct task *t,
                          const struct redisReply *dialog)
{
    struct session_page page;
    bool begun = redis_reply_count(dialog) > 0 && session_page_take(dialog, &page);

    c->tell.reserved(c->arg, what, t, begun ? &page : NULL, NULL);
    if (begun)
        session_page_drop(&page);
}

static void on_reserved(void *arg, const struct redisReply *reply, const struct err *e)
{
    static const struct { const char *word; enum task_reserved what; } answers[] = {
        { "reserved", TASK_RESERVED }, { "poison", TASK_POISON }, { "suspect", TASK_SUSPECT },
        { "settled", TASK_SETTLED },   { "held", TASK_HELD },
    };
    struct task_call c = *(struct task_call *)arg;
    enum task_reserved what = TASK_HELD;
    struct err fault = ERR_NONE;
    struct task t;

    free(arg);
    if (e) {
        c.tell.reserved(c.arg, TASK_HELD, NULL, NULL, e);
        return;
    }
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (task_reply_says(reply, answers[i].word))
            what = answers[i].what;
    if (what != TASK_RESERVED && what != TASK_POISON) {
        c.tell.reserved(c.arg, what, NULL, NULL, NULL);
    } else if (task_from_reply(c.id, redis_reply_at(reply, 1), &t, &fault)) {
        err_wrap(&fault, "reserving");
        c.tell.reserved(c.arg, TASK_HELD, NULL, NULL, &fault);
    } else {
        tell_reserved(&c, what, &t, redis_reply_at(reply, 2));
    }
}

struct task_call *task_reserve(struct redis *r, const struct settings *s, const struct task_ask *q,
                               task_reserve_fn *fn, void *arg)
{
    struct task_call call = { .tell.reserved = fn, .arg = arg };
    struct task_args a = task_args_queue();

    /* What is no id names no task, so that its entry is deleted. */
    if (task_id_ok(q->id, strlen(q->id)))
        snprintf(call.id, sizeof call.id, "%s", q->id);
    task_args_text(&a, q->consumer);
    task_args_text(&a, call.id);
    task_args_text(&a, q->entry);
    task_args_text(&a, q->token);
    task_args_number(&a, s->tasks.lease);
    task_args_number(&a, q->alone);
    task_args_number(&a, s->tasks.crashes_alone);
    task_args_number(&a, TASK_PAGE_TURNS);
    task_args_number(&a, SESSION_PAGE_BYTES);
    return task_call_send(r, &lua_task_reserve, &a, &call, on_reserved);
}

/* --- under the fence --- */

static void on_fenced(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;

    free(arg);
    c.tell.fenced(c.arg, !e && task_reply_says(reply, "held"), e);
}

/* What scripts begin with that keep the lease, and those that end it. */
static void add_keep(struct task_args *a, const struct settings *s, const struct task_hold *h)
{
    task_args_text(a, h->consumer);
    task_args_text(a, h->task->id);
    task_args_text(a, h->token);
    task_args_number(a, s->tasks.lease);
}

static void add_end(struct task_args *a, const struct task_hold *h)
{
    task_args_text(a, h->task->id);
    task_args_text(a, h->token);
}

struct task_call *task_renew(struct redis *r, const struct settings *s, const struct task_hold *h,
                             task_fenced_fn *fn, void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct task_args a = task_args_queue();

    add_keep(&a, s, h);
    return task_call_send(r, &lua_task_renew, &a, &call, on_fenced);
}

struct task_call *task_record(struct redis *r, const struct settings *s, const struct task_hold *h,
                              const char *store, const char *document, task_fenced_fn *fn,
                              void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct task_args a = task_args_queue();

    add_keep(&a, s, h);
    task_args_name(&a, KEYS_TASKS_SWEPT);
    task_args_text(&a, store);
    task_args_text(&a, document);
    return task_call_send_kept(r, &lua_task_record, &a, &call, on_fenced);
}

struct task_call *task_finish(struct redis *r, const struct settings *s, const struct task_hold *h,
                              const char *store, const char *document, task_fenced_fn *fn,
                              void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct task_args a = task_args_queue();
    char life[SESSION_LIFE_SIZE];

    add_end(&a, h);
    task_args_text(&a, store);
    task_args_text(&a, document);
    task_args_text(&a, session_life(s, life));
    task_args_number(&a, s->tasks.ttl);
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
    struct task_args a = task_args_queue();
    char life[SESSION_LIFE_SIZE];

    add_end(&a, h);
    task_args_text(&a, code);
    add_detail(&a, detail);
    task_args_text(&a, session_life(s, life));
    return task_call_send(r, &lua_task_fail, &a, &call, on_fenced);
}

struct task_call *task_postpone(struct redis *r, const struct settings *s,
                                const struct task_hold *h, int64_t delay_ms, bool counts,
                                const char *code, const char *detail, task_fenced_fn *fn,
                                void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct task_args a = task_args_queue();

    add_end(&a, h);
    task_args_number(&a, delay_ms);
    task_args_number(&a, counts);
    task_args_text(&a, code);
    add_detail(&a, detail);
    task_args_number(&a, s->tasks.ttl);
    return task_call_send(r, &lua_task_postpone, &a, &call, on_fenced);
}

static void on_paused(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;
    struct err fault = ERR_NONE;

    free(arg);
    if (!e && task_reply_says(reply, "own")) {
        err_set(&fault, ERR_TASK_STATE, "other tasks do not meet this fault");
        e = &fault;
    }
    c.tell.fenced(c.arg, !e && task_reply_says(reply, "held"), e);
}

struct task_call *task_pause(struct redis *r, const struct settings *s, const struct task_hold *h,
                             const char *code, const char *detail, task_fenced_fn *fn, void *arg)
{
    struct task_call call = { .tell.fenced = fn, .arg = arg };
    struct task_args a = task_args_queue();

    add_end(&a, h);
    task_args_text(&a, code);
    add_detail(&a, detail);
    task_args_number(&a, s->tasks.canary_base);
    task_args_number(&a, s->tasks.canary_max);
    return task_call_send(r, &lua_task_pause, &a, &call, on_paused);
}
