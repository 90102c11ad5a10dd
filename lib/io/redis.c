/* Calls to Redis: each is written to the connection at once, answers come in the same order. */
#include "lib/io/redis_inside.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/failpoint.h"
#include "lib/io/redis_wire.h"

enum { PULSE_MS = 2000, PATIENCE = 10 };

static void on_up(void *arg);
static void on_down(void *arg);
static void on_reply(void *arg, const struct redisReply *reply);
static void on_deadline(void *arg);
static void on_telling(void *arg);
static void on_pulse(void *arg);

static const struct link_handlers handlers = { on_up, on_down, on_reply };

static enum err_code open_one(struct loop *l, const struct redis_options *o, struct redis **out,
                              struct err *e)
{
    struct redis_url url;
    struct redis *r;

    if (redis_url_parse(o->url, &url, e) != ERR_OK)
        return err_wrap(e, "REDIS_URL ([redis] url)");
    r = calloc(1, sizeof *r);
    if (!r) {
        redis_url_close(&url);
        return err_set(e, ERR_INTERNAL, "out of memory");
    }
    r->timeout = o->timeout;
    list_init(&r->waiting);
    list_init(&r->sent);
    list_init(&r->held);
    list_init(&r->failed);
    timer_init(&r->deadline, l, on_deadline, r);
    timer_init(&r->telling, l, on_telling, r);
    timer_init(&r->pulse, l, on_pulse, r);
    r->link = link_new(l, &url, o, &handlers, r);
    if (!r->link) {
        redis_free(r);
        return err_set(e, ERR_INTERNAL, "out of memory");
    }
    *out = r;
    return ERR_OK;
}

/* A second one for what replicas must have: a WAIT holds up what is behind it. */
static enum err_code open_kept(struct loop *l, const struct redis_options *o, struct redis *r,
                               struct err *e)
{
    struct redis_options own = *o;
    char name[64];

    snprintf(name, sizeof name, "%s-kept", o->name ? o->name : "");
    own.name = name;
    if (open_one(l, &own, &r->kept, e) != ERR_OK)
        return e ? e->code : ERR_INTERNAL;
    r->kept->replicas = o->replicas;
    r->kept->replica_timeout = o->replica_timeout;
    return ERR_OK;
}

enum err_code redis_new(struct loop *l, const struct redis_options *o, struct redis **out,
                        struct err *e)
{
    enum err_code code;

    *out = NULL;
    code = open_one(l, o, out, e);
    if (code == ERR_OK && o->replicas > 0)
        code = open_kept(l, o, *out, e);
    if (code != ERR_OK) {
        redis_free(*out);
        *out = NULL;
    }
    return code;
}

void redis_free_calls(struct list *calls)
{
    while (!list_empty(calls)) {
        struct redis_call *c = list_owner(calls->next, struct redis_call, link);

        list_take(&c->link);
        call_free(c);
    }
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    redis_free(r->kept);
    r->kept = NULL;
    link_free(r->link);
    r->link = NULL;
    timer_stop(&r->deadline);
    timer_stop(&r->telling);
    timer_stop(&r->pulse);
    redis_free_calls(&r->waiting);
    redis_free_calls(&r->sent);
    redis_free_calls(&r->held);
    redis_free_calls(&r->failed);
    r->closed = true;
    if (r->busy)
        return;
    free(r->channel);
    free(r);
}

bool redis_is_up(const struct redis *r)
{
    return r->link->state == LINK_UP;
}

void redis_on_state(struct redis *r, redis_state_fn *fn, void *arg)
{
    r->state_fn = fn;
    r->state_arg = arg;
}

void redis_on_kept_up(struct redis *r, loop_fn *fn, void *arg)
{
    struct redis *own = r->kept ? r->kept : r;

    own->up_fn = fn;
    own->up_arg = arg;
}

/* Ends one call that failed. The redis may be gone when this returns. */
static void call_fail(struct redis *r, struct redis_call *c)
{
    char what[CALL_WHAT_MAX];
    struct err e;

    call_what(c, what);
    if (c->why)
        err_set(&e, ERR_STORE, "redis: %s: %s: %s", what, c->why, r->link->why);
    else
        err_set(&e, ERR_STORE, "redis: %s: %s", what, r->link->why);
    list_take(&c->link);
    c->state = CALL_OVER;
    if (c->fn)
        c->fn(c->arg, NULL, &e);
    call_free(c);
}

static void tell_state(struct redis *r)
{
    bool up = redis_is_up(r);

    if (up == r->told_up)
        return;
    r->told_up = up;
    if (r->state_fn)
        r->state_fn(r->state_arg, up);
    if (up && !r->closed && r->up_fn)
        r->up_fn(r->up_arg);
}

/* Calls made by these callbacks that fail at once have their turn in the next round. */
static void on_telling(void *arg)
{
    struct redis *r = arg;
    struct list due;

    list_init(&due);
    list_move(&due, &r->failed);
    r->busy = true;
    while (!r->closed && !list_empty(&due))
        call_fail(r, list_owner(due.next, struct redis_call, link));
    if (!r->closed)
        tell_state(r);
    r->busy = false;
    redis_free_calls(&due);
    if (r->closed)
        redis_free(r);
}

void redis_call_will_fail(struct redis *r, struct redis_call *c, const char *why)
{
    c->state = CALL_FAILED;
    c->why = why;
    list_push(&r->failed, &c->link);
    timer_set(&r->telling, 0);
}

static void all_will_fail(struct redis *r, struct list *calls)
{
    while (!list_empty(calls)) {
        struct redis_call *c = list_owner(calls->next, struct redis_call, link);

        list_take(&c->link);
        redis_call_will_fail(r, c, NULL);
    }
}

static void on_down(void *arg)
{
    struct redis *r = arg;

    timer_stop(&r->pulse);
    kept_forget(r);
    all_will_fail(r, &r->sent);
    all_will_fail(r, &r->waiting);
    timer_set(&r->telling, 0);
}

void redis_send(struct redis *r, struct redis_call *c)
{
    struct buf *out = &r->link->out;
    size_t size = call_size(c);
    char *at = size <= out->max - out->len ? buf_reserve(out, size) : NULL;

    if (!at) {
        out->failed = false;    /* nothing was added: what others sent is whole */
        redis_call_will_fail(r, c, "too much waits to be sent");
        return;
    }
    if (c->script)
        (void)FAILPOINT("redis.send", c->script->name);
    buf_grew(out, (size_t)(call_put(c, at) - at));
    c->state = CALL_SENT;
    list_push(&r->sent, &c->link);
    link_flush(r->link);
}

static void call_go(struct redis *r, struct redis_call *c)
{
    if (r->asking)
        c->deadline += r->replica_timeout;
    if (r->asking || (!redis_is_up(r) && link_is_pending(r->link))) {
        c->state = CALL_WAITING;
        list_push(&r->waiting, &c->link);
    } else if (redis_is_up(r)) {
        redis_send(r, c);
        if (r->replicas)
            kept_ask(r);
    } else {
        redis_call_will_fail(r, c, NULL);
    }
}

static void send_subscription(struct redis *r)
{
    wire_add(&r->link->out, (const char *[]){ "SUBSCRIBE", r->channel, NULL });
    link_flush(r->link);
    r->heard = true;
    timer_set(&r->pulse, PULSE_MS);
}

void redis_send_waiting(struct redis *r)
{
    bool any = !list_empty(&r->waiting);

    while (!list_empty(&r->waiting)) {
        struct redis_call *c = list_owner(r->waiting.next, struct redis_call, link);

        list_take(&c->link);
        redis_send(r, c);
    }
    if (any && r->replicas)
        kept_ask(r);
}

static void on_up(void *arg)
{
    struct redis *r = arg;

    redis_send_waiting(r);
    if (r->channel && redis_is_up(r))
        send_subscription(r);
    timer_set(&r->telling, 0);
}

static void look_at(struct redis *r, int64_t when, int64_t now)
{
    if (timer_running(&r->deadline) && r->next_look <= when)
        return;
    r->next_look = when;
    timer_set(&r->deadline, when > now ? when - now : 1);
}

/* When it is too late for an answer to this call. While others are answered it stands in a queue
 * that moves, as after thousands of calls at once: that is no server which does not answer. */
static int64_t call_overdue(const struct redis *r, const struct redis_call *c)
{
    int64_t silent = r->heard_at + r->timeout;
    int64_t latest = c->deadline + (PATIENCE - 1) * r->timeout;

    if (silent <= c->deadline)
        return c->deadline;
    return silent < latest ? silent : latest;
}

/* One timer for all calls: it is set for the earliest deadline seen, and not touched by calls
 * that are answered in time, so that it fires at most once in the shortest timeout in use. */
static void on_deadline(void *arg)
{
    struct redis *r = arg;
    int64_t now = clock_ms(), next = INT64_MAX;
    struct list *at, *after;

    for (at = r->waiting.next; at != &r->waiting; at = after) {
        struct redis_call *c = list_owner(at, struct redis_call, link);

        after = at->next;
        if (c->deadline <= now) {
            list_take(&c->link);
            redis_call_will_fail(r, c, r->asking ? "not sent in time" : "no connection in time");
        } else if (c->deadline < next) {
            next = c->deadline;
        }
    }
    for (at = r->sent.next; at != &r->sent; at = at->next) {
        struct redis_call *c = list_owner(at, struct redis_call, link);
        int64_t overdue = call_overdue(r, c);
        char what[CALL_WHAT_MAX];

        if (overdue <= now) {
            call_what(c, what);
            link_fail(r->link, "no answer to %s in time", what);
            return;
        }
        if (overdue < next)
            next = overdue;
    }
    if (next < INT64_MAX)
        look_at(r, next, now);
}

/* The message is borrowed from the reply. The redis may be gone when this returns. */
static void on_push(struct redis *r, const struct redisReply *reply)
{
    struct redis_arg kind = redis_reply_text(redis_reply_at(reply, 0));
    struct redis_arg message = redis_reply_text(redis_reply_at(reply, 2));

    r->heard = true;
    if (reply->type == REDIS_REPLY_ERROR)
        link_fail(r->link, "subscribing: %s", reply->str);
    else if (strcmp(kind.s, "message") == 0 && r->message_fn)
        r->message_fn(r->message_arg, message.s, message.len);
}

/* A connection that only listens does not notice a peer that vanished: it is asked. */
static void on_pulse(void *arg)
{
    struct redis *r = arg;

    if (!r->heard) {
        link_fail(r->link, "not a sign of life in %d ms", PULSE_MS);
        return;
    }
    r->heard = false;
    wire_add(&r->link->out, (const char *[]){ "PING", NULL });
    link_flush(r->link);
    timer_set(&r->pulse, PULSE_MS);
}

/* A fault that the server told. */
static void call_refused(struct redis_call *c, enum err_code code, const struct redisReply *reply)
{
    char what[CALL_WHAT_MAX];
    struct err e;

    call_what(c, what);
    err_set(&e, code, "redis: %s: %s", what, reply->str);
    c->fn(c->arg, NULL, &e);
}

static void on_reply(void *arg, const struct redisReply *reply)
{
    struct redis *r = arg;
    struct redis_call *c;
    enum err_code fault = wire_fault(reply);

    if (r->channel) {
        on_push(r, reply);
        return;
    }
    if (list_empty(&r->sent)) {
        link_fail(r->link, "an answer that nobody asked for");
        return;
    }
    c = list_owner(r->sent.next, struct redis_call, link);
    list_take(&c->link);
    r->heard_at = clock_ms();
    /* A cancelled one is not sent again: what was called after it may be carried out by now. */
    if (c->script && c->fn && !c->whole_script && wire_fault_is(reply, "NOSCRIPT")) {
        c->whole_script = true;
        call_go(r, c);
        return;
    }
    if (c->script && FAILPOINT("redis.answer", c->script->name)) {
        redis_call_will_fail(r, c, "the answer was dropped");
        return;
    }
    if (c->fn && fault == ERR_OK && c->script && r->replicas) {
        kept_hold(r, c);
        return;
    }
    if (c->fn && fault != ERR_OK)
        call_refused(c, fault, reply);
    else if (c->fn)
        c->fn(c->arg, reply, NULL);
    call_free(c);
}

static void call_begin(struct redis *r, struct redis_call *c, int64_t timeout_ms)
{
    int64_t now = clock_ms();

    assert(!r->channel);
    c->deadline = now + (timeout_ms ? timeout_ms : r->timeout);
    call_go(r, c);
    look_at(r, c->deadline, now);
}

struct redis_call *redis_command(struct redis *r, int64_t timeout_ms, const struct redis_arg *argv,
                                 size_t argc, redis_fn *fn, void *arg)
{
    struct redis_call *c = call_of_command(argv, argc, fn, arg);

    if (c)
        call_begin(r, c, timeout_ms);
    return c;
}

struct redis_call *redis_eval(struct redis *r, int64_t timeout_ms, const struct redis_script *s,
                              const struct redis_arg *keys, size_t nkeys,
                              const struct redis_arg *args, size_t nargs, redis_fn *fn, void *arg)
{
    struct redis_call *c = call_of_script(s, keys, nkeys, args, nargs, fn, arg);

    if (c)
        call_begin(r, c, timeout_ms);
    return c;
}

struct redis_call *redis_eval_kept(struct redis *r, int64_t timeout_ms,
                                   const struct redis_script *s, const struct redis_arg *keys,
                                   size_t nkeys, const struct redis_arg *args, size_t nargs,
                                   redis_fn *fn, void *arg)
{
    return redis_eval(r->kept ? r->kept : r, timeout_ms, s, keys, nkeys, args, nargs, fn, arg);
}

/* What was sent still takes its answer off the connection. */
void redis_call_cancel(struct redis_call *c)
{
    if (!c)
        return;
    c->fn = NULL;
    if (c->state == CALL_SENT || c->state == CALL_HELD || c->state == CALL_OVER)
        return;
    list_take(&c->link);
    call_free(c);
}

bool redis_subscribe(struct redis *r, const char *channel, redis_message_fn *fn, void *arg)
{
    if (r->channel)
        return false;
    r->channel = strdup(channel);
    if (!r->channel)
        return false;
    r->message_fn = fn;
    r->message_arg = arg;
    if (redis_is_up(r))
        send_subscription(r);
    return true;
}
