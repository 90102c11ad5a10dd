/* The books of this process: found by their key, written down and renewed by one timer. */

#include "lib/chat/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/quota_grant.h"

enum { TICK_MS = 1000 };

struct redis_call *quota_send(struct quota *q, const struct redis_script *script,
                              const struct redis_arg *keys, size_t nkeys,
                              const struct redis_arg *args, size_t nargs, redis_fn *fn, void *arg)
{
    struct redis_call *call = redis_eval(q->redis, 0, script, keys, nkeys, args, nargs, fn, arg);

    q->under_way += call != NULL;
    return call;
}

void quota_answered(struct quota *q)
{
    q->under_way--;
    if (q->on_stopped && q->under_way == 0)
        timer_set(&q->tick, 0);
}

static void on_written(void *arg, const struct redisReply *reply, const struct err *e)
{
    (void)reply;
    if (e)
        log_warn(NULL, "quota failed=\"%s\"", e->detail);
    quota_answered(arg);
}

static void write_down(struct quota_book *b)
{
    const struct apikey *k = b->key;
    struct key books = key_usage(k->tenant);
    struct redis_arg keys[] = { key_arg(&books), REDIS_LIT(KEYS_TENANTS) };
    int64_t numbers[] = { b->quota->settings->limits.usage_ttl, b->requests, b->turns,
                          b->spent.prompt, b->spent.completion, b->spent.total };
    struct redis_arg args[9] = { redis_str(k->id), redis_str(k->name), redis_str(k->tenant) };
    char digits[6][24];

    if (b->requests == 0 && b->turns == 0 && b->spent.total == 0)
        return;
    for (size_t i = 0; i < 6; i++) {
        snprintf(digits[i], sizeof(digits[i]), "%" PRId64, numbers[i]);
        args[3 + i] = redis_str(digits[i]);
    }
    if (!quota_send(b->quota, &lua_quota_record, keys, 2, args, 9, on_written, b->quota))
        return;
    b->requests = b->turns = 0;
    b->spent = (struct quota_spent){ 0, 0, 0 };
}

static void send_renewal(struct quota_book *b, struct redis_arg *args, size_t count)
{
    struct key flight = key_quota(b->key->tenant, b->key->id, "flight");
    struct key books = key_usage(b->key->tenant);
    struct redis_arg keys[] = { key_arg(&flight), key_arg(&books) };
    char lease[24];

    snprintf(lease, sizeof(lease), "%" PRId64, b->quota->settings->session.lease);
    args[0] = redis_str(b->key->id);
    args[1] = redis_str(lease);
    quota_send(b->quota, &lua_quota_renew, keys, 2, args, count, on_written, b->quota);
}

/* All that are held; and what could not be ended is tried again. */
static void renew(struct quota_book *b)
{
    struct redis_arg args[2 + QUOTA_RENEW_MAX];
    struct list *link, *next;
    size_t count = 2;

    for (link = b->grants.next; link != &b->grants; link = next) {
        struct quota_grant *g = list_owner(link, struct quota_grant, link);

        next = link->next;
        if (g->state == GRANT_HELD)
            args[count++] = redis_str(g->member);
        else if (g->state == GRANT_ENDING && !g->call)
            quota_grant_end_again(g);
        if (count == 2 + QUOTA_RENEW_MAX) {
            send_renewal(b, args, count);
            count = 2;
        }
    }
    if (count > 2)
        send_renewal(b, args, count);
}

static void book_free(struct quota_book *b)
{
    while (!list_empty(&b->grants))
        quota_grant_free(list_owner(b->grants.next, struct quota_grant, link));
    list_take(&b->link);
    b->key->book = NULL;
    apikey_unref(b->key);
    free(b);
}

static bool is_blank(const struct quota_book *b)
{
    return list_empty(&b->grants) && b->requests == 0 && b->turns == 0 && b->spent.total == 0;
}

/* Often enough for a lease that is shorter than a second, too. */
static void tick_later(struct quota *q)
{
    int64_t third = q->settings->session.lease / 3;

    timer_set(&q->tick, third < TICK_MS ? third : TICK_MS);
}

static void look_after(struct quota *q)
{
    int64_t now = clock_ms();
    bool due = now >= q->renew_at;
    struct list *link, *next;

    for (link = q->books.next; redis_is_up(q->redis) && link != &q->books; link = next) {
        struct quota_book *b = list_owner(link, struct quota_book, link);

        next = link->next;
        write_down(b);
        if (due)
            renew(b);
        if (is_blank(b))
            book_free(b);
    }
    if (due)
        q->renew_at = now + q->settings->session.lease / 3;
    tick_later(q);
}

static void on_tick(void *arg)
{
    struct quota *q = arg;

    if (!q->on_stopped)
        look_after(q);
    else if (q->under_way == 0)
        q->on_stopped(q->arg);
}

void quota_stop(struct quota *q, loop_fn *fn, void *arg)
{
    struct list *link;

    for (link = q->books.next; redis_is_up(q->redis) && link != &q->books; link = link->next)
        write_down(list_owner(link, struct quota_book, link));
    q->on_stopped = fn;
    q->arg = arg;
    timer_set(&q->tick, 0);
}

struct quota *quota_new(struct loop *l, struct redis *redis, const struct settings *s)
{
    struct quota *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    q->redis = redis;
    q->settings = s;
    list_init(&q->books);
    text_random_hex(q->me, 8);
    timer_init(&q->tick, l, on_tick, q);
    tick_later(q);
    return q;
}

void quota_free(struct quota *q)
{
    if (!q)
        return;
    timer_stop(&q->tick);
    while (!list_empty(&q->books))
        book_free(list_owner(q->books.next, struct quota_book, link));
    free(q);
}
