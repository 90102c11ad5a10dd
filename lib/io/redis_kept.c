/* Scripts whose answers wait for the replicas: those that are sent together are followed by one
 * WAIT, and while it lasts the next ones gather. So a connection carries any number of them in the
 * time that the replicas take for one. Redis lets nothing pass a WAIT on its connection. */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/io/redis_inside.h"

/* The end of all that were held: e NULL, they are kept. Their callbacks may free r. */
static void conclude(struct redis *r, const struct err *e)
{
    bool was_busy = r->busy;
    struct list due;

    list_init(&due);
    list_move(&due, &r->held);
    r->busy = true;
    while (!r->closed && !list_empty(&due)) {
        struct redis_call *c = list_owner(due.next, struct redis_call, link);

        list_take(&c->link);
        c->state = CALL_OVER;
        if (c->fn)
            c->fn(c->arg, e ? NULL : c->reply, e);
        call_free(c);
    }
    redis_free_calls(&due);
    r->busy = was_busy;
    r->asking = NULL;
    if (!r->closed)
        redis_send_waiting(r);
    else if (!was_busy)
        redis_free(r);
}

static void on_replicas(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct redis *r = arg;
    int64_t have = redis_reply_int(reply);
    struct err fault = ERR_NONE;

    if (!e && have < r->replicas)
        err_set(&fault, ERR_STORE, "redis: stored, but on %" PRId64 " of %" PRId64
                " replicas after %" PRId64 " ms (REDIS_MIN_REPLICAS)", have, r->replicas,
                r->replica_timeout);
    else if (e)
        err_set(&fault, ERR_STORE, "redis: stored, but the replicas were not heard: %s", e->detail);
    conclude(r, fault.code ? &fault : NULL);
}

/* WAIT is about what its own connection has written. A script that only found what another one
 * wrote, as a repeat does, has written nothing: the message that nobody hears stands behind all
 * that it can have found. */
void kept_ask(struct redis *r)
{
    static const struct redis_arg mark[] = { REDIS_LIT("PUBLISH"), REDIS_LIT("c1:kept"),
                                             REDIS_LIT("") };
    char replicas[24], ms[24];
    struct redis_arg wait[] = { REDIS_LIT("WAIT"), { replicas, 0 }, { ms, 0 } };
    struct redis_call *marking = call_of_command(mark, 3, NULL, NULL);

    wait[1].len = (size_t)snprintf(replicas, sizeof replicas, "%" PRId64, r->replicas);
    wait[2].len = (size_t)snprintf(ms, sizeof ms, "%" PRId64, r->replica_timeout);
    r->asking = call_of_command(wait, 3, on_replicas, r);
    if (!marking || !r->asking) {
        call_free(marking);
        call_free(r->asking);
        r->asking = NULL;
        link_fail(r->link, "no memory to ask the replicas");
        return;
    }
    marking->deadline = clock_ms() + r->timeout;
    r->asking->deadline = marking->deadline + r->replica_timeout;
    redis_send(r, marking);
    redis_send(r, r->asking);
}

void kept_hold(struct redis *r, struct redis_call *c)
{
    c->state = CALL_HELD;
    c->reply = link_keep_reply(r->link);
    list_push(&r->held, &c->link);
}

void kept_forget(struct redis *r)
{
    redis_call_cancel(r->asking);
    r->asking = NULL;
    while (!list_empty(&r->held)) {
        struct redis_call *c = list_owner(r->held.next, struct redis_call, link);

        list_take(&c->link);
        redis_call_will_fail(r, c, NULL);
    }
}
