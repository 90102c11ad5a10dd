/* Each script's head in lua/ tells the order of its keys and arguments, and what it answers. */
#include "lib/chat/task_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/task_call.h"

enum { RECONCILE_PAGE = 100, SWEEP_PAGE = 200 };

/* A mark outlives every runner that may still hold the document's id. */
static const int64_t SWEPT_LIFE_MS = INT64_C(30) * 24 * 60 * 60 * 1000;

/* --- kept in order --- */

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

struct task_call *task_wake_due(struct redis *r, const struct settings *s, task_done_fn *fn,
                                void *arg)
{
    struct task_call call = { .tell.done = fn, .arg = arg };
    struct task_args a = task_args_queue();

    task_args_number(&a, TASK_WAKE_MAX);
    task_args_number(&a, s->tasks.concurrency);
    task_args_number(&a, s->tasks.canary_base);
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

static void on_page(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;

    free(arg);
    c.tell.page(c.arg, redis_reply_int(redis_reply_at(reply, 1)),
                redis_reply_text(redis_reply_at(reply, 0)).s, e);
}

struct task_call *task_reconcile(struct redis *r, const char *cursor, int64_t lately_ms,
                                 task_page_fn *fn, void *arg)
{
    struct task_call call = { .tell.page = fn, .arg = arg };
    struct task_args a = task_args_queue();

    task_args_text(&a, cursor);
    task_args_number(&a, RECONCILE_PAGE);
    task_args_number(&a, lately_ms);
    return task_call_send(r, &lua_task_reconcile, &a, &call, on_page);
}

struct task_call *task_sweep_index(struct redis *r, const struct settings *s, const char *cursor,
                                   task_page_fn *fn, void *arg)
{
    struct task_call call = { .tell.page = fn, .arg = arg };
    struct task_args a = task_args_queue();

    task_args_text(&a, cursor);
    task_args_number(&a, SWEEP_PAGE);
    task_args_number(&a, s->tasks.ttl);
    return task_call_send(r, &lua_task_sweep_index, &a, &call, on_page);
}

/* --- Google's documents and quota --- */

static void on_verdict(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;

    free(arg);
    c.tell.done(c.arg, !e && task_reply_says(reply, "sweep"), e);
}

struct task_call *task_sweep_document(struct redis *r, const char *task_id, const char *document,
                                      task_done_fn *fn, void *arg)
{
    struct task_call call = { .tell.done = fn, .arg = arg };
    struct key task = key_task(task_id);
    struct task_args a = { .keys = 0 };

    task_args_key(&a, &task);
    task_args_name(&a, KEYS_TASKS_SWEPT);
    task_args_text(&a, document);
    task_args_number(&a, SWEPT_LIFE_MS);
    return task_call_send_kept(r, &lua_task_sweep_document, &a, &call, on_verdict);
}

struct task_call *task_budget(struct redis *r, int64_t per_minute, task_done_fn *fn, void *arg)
{
    struct task_call call = { .tell.done = fn, .arg = arg };
    struct task_args a = { .keys = 0 };

    task_args_name(&a, KEYS_TASKS_BUDGET);
    task_args_number(&a, per_minute);
    return task_call_send(r, &lua_task_budget, &a, &call, on_done);
}

/* --- paused --- */

struct task_call *task_hold_queue(struct redis *r, bool pause, const char *words,
                                  task_done_fn *fn, void *arg)
{
    struct task_call call = { .tell.done = fn, .arg = arg };
    struct task_args a = task_args_queue();

    task_args_number(&a, pause);
    task_args_text(&a, words);
    return task_call_send(r, &lua_task_hold_queue, &a, &call, on_done);
}

static void put(char *to, size_t size, struct redis_arg text)
{
    size_t len = text_utf8_prefix(text.s, text.len < size ? text.len : size - 1);

    memcpy(to, text.s, len);
    to[len] = '\0';
}

static void take_state(struct task_queue_state *s, const struct redisReply *reply)
{
    int64_t hand = redis_reply_int(redis_reply_at(reply, 0));
    struct redis_arg fault = redis_reply_text(redis_reply_at(reply, 2));

    *s = (struct task_queue_state){ .paused = hand || fault.len, .by_hand = hand };
    put(s->code, sizeof s->code, fault);
    put(s->words, sizeof s->words, redis_reply_text(redis_reply_at(reply, hand ? 1 : 3)));
    s->since = hand ? hand : redis_reply_int(redis_reply_at(reply, 4));
    s->next_try = hand ? 0 : redis_reply_int(redis_reply_at(reply, 5));
    s->open = redis_reply_int(redis_reply_at(reply, 6));
    s->running = redis_reply_int(redis_reply_at(reply, 7));
    s->due = redis_reply_int(redis_reply_at(reply, 8));
    s->waiting = redis_reply_int(redis_reply_at(reply, 9));
}

static void on_state(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;
    struct task_queue_state s;

    free(arg);
    if (e) {
        c.tell.state(c.arg, NULL, e);
        return;
    }
    take_state(&s, reply);
    c.tell.state(c.arg, &s, NULL);
}

struct task_call *task_queue_state(struct redis *r, task_state_fn *fn, void *arg)
{
    struct task_call call = { .tell.state = fn, .arg = arg };
    struct task_args a = task_args_queue();

    return task_call_send(r, &lua_task_queue_state, &a, &call, on_state);
}
