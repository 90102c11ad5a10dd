/* One request of a key, from its question to its end. See the drawing in quota_grant.h. */

#include "lib/chat/quota_grant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/lua_scripts.h"

enum { TRIES_MAX = 20 };            /* to end a turn while Redis is away, one every third of a lease */

static struct quota_book *book_of(struct quota *q, struct apikey *key)
{
    struct quota_book *b = key->book;

    if (b)
        return b;
    b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->quota = q;
    b->key = apikey_ref(key);
    list_init(&b->grants);
    list_push(&q->books, &b->link);
    key->book = b;
    return b;
}

void quota_grant_free(struct quota_grant *g)
{
    redis_call_cancel(g->call);
    list_take(&g->link);
    free(g);
}

bool quota_pending(const struct quota_grant *g)
{
    return g->state == GRANT_ASKING;
}

/* --- the question ------------------------------------------------------------------------------ */

static bool is_limited(const struct apikey_limits *l, enum quota_kind kind)
{
    return l->requests_per_minute > 0 ||
           (kind == QUOTA_TURN && (l->in_flight > 0 || l->tokens_per_day > 0));
}

static enum quota_limit limit_met(const struct redisReply *reply)
{
    static const char *const names[QUOTA_LIMITS] = { "requests", "turns", "tokens" };
    struct redis_arg what = redis_reply_text(redis_reply_at(reply, 0));

    for (size_t i = 0; i < QUOTA_LIMITS; i++)
        if (what.len == strlen(names[i]) && memcmp(what.s, names[i], what.len) == 0)
            return (enum quota_limit)i;
    return QUOTA_LIMITS;
}

static void read_state(const struct redisReply *reply, const struct apikey_limits *l,
                       struct quota_state *s)
{
    enum { WHAT, WAIT, REQUESTS, REQUESTS_RESET, TURNS, TOKENS, DAY_LEFT };

    *s = (struct quota_state){
        .of = {
            [QUOTA_REQUESTS] = { l->requests_per_minute,
                                 redis_reply_int(redis_reply_at(reply, REQUESTS)),
                                 redis_reply_int(redis_reply_at(reply, REQUESTS_RESET)) },
            [QUOTA_TURNS] = { l->in_flight, redis_reply_int(redis_reply_at(reply, TURNS)), 0 },
            [QUOTA_TOKENS] = { l->tokens_per_day, redis_reply_int(redis_reply_at(reply, TOKENS)),
                               redis_reply_int(redis_reply_at(reply, DAY_LEFT)) },
        },
        .met = limit_met(reply),
    };
}

static void refuse(struct err *e, const struct quota_state *s, int64_t wait_ms)
{
    static const char *const what[QUOTA_LIMITS] = {
        [QUOTA_REQUESTS] = "requests a minute",
        [QUOTA_TURNS] = "turns in flight",
        [QUOTA_TOKENS] = "tokens a day",
    };

    err_set(e, ERR_LIMITED, "this key may have %" PRId64 " %s", s->of[s->met].limit, what[s->met]);
    e->retry_after = wait_ms > 1000 ? (int)((wait_ms + 999) / 1000) : 1;
}

static void keep_member(struct quota_grant *g, const struct redisReply *reply)
{
    enum { MEMBER = 7 };
    struct redis_arg member = redis_reply_text(redis_reply_at(reply, MEMBER));

    if (member.len < sizeof(g->member))
        memcpy(g->member, member.s, member.len);
}

static void on_answer(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct quota_grant *g = arg;
    bool abandoned = g->state == GRANT_ABANDONED;
    struct err refused = ERR_NONE;
    struct quota_state state;
    bool granted = false;

    quota_answered(g->book->quota);
    g->call = NULL;
    if (!e) {
        read_state(reply, &g->book->key->limits, &state);
        granted = state.met == QUOTA_LIMITS;
        keep_member(g, reply);
    }
    if (!e && !granted)
        refuse(&refused, &state, redis_reply_int(redis_reply_at(reply, 1)));
    g->state = granted && *g->member ? GRANT_HELD : GRANT_OVER;
    if (abandoned)
        quota_end(g, NULL);
    else
        g->fn(g->arg, e ? NULL : &state, e ? e : granted ? NULL : &refused);
}

static bool send_question(struct quota *q, struct quota_grant *g, int64_t tokens)
{
    const struct apikey *k = g->book->key;
    struct key times = key_quota(k->tenant, k->id, "times");
    struct key flight = key_quota(k->tenant, k->id, "flight");
    struct key books = key_usage(k->tenant);
    struct redis_arg keys[] = { key_arg(&times), key_arg(&flight), key_arg(&books),
                                REDIS_LIT(KEYS_TENANTS) };
    int64_t numbers[] = { k->limits.requests_per_minute, k->limits.in_flight,
                          k->limits.tokens_per_day, tokens, q->settings->session.lease,
                          q->settings->limits.usage_ttl };
    char digits[6][24], me[48] = "";

    for (size_t i = 0; i < 6; i++)
        snprintf(digits[i], sizeof(digits[i]), "%" PRId64, numbers[i]);
    if (g->kind == QUOTA_TURN)
        snprintf(me, sizeof(me), "%s:%" PRIu64, q->me, ++q->last_ticket);
    g->call = quota_send(q, &lua_quota_begin, keys, 4, (struct redis_arg[]){
        redis_str(k->id), redis_str(k->name), redis_str(k->tenant), redis_str(digits[0]),
        redis_str(digits[1]), redis_str(digits[2]), redis_str(me), redis_str(digits[3]),
        redis_str(digits[4]), redis_str(digits[5]) }, 10, on_answer, g);
    return g->call;
}

struct quota_grant *quota_ask(struct quota *q, struct apikey *key, enum quota_kind kind,
                              int64_t tokens, quota_fn *fn, void *arg)
{
    struct quota_book *b = book_of(q, key);
    struct quota_grant *g = b ? calloc(1, sizeof(*g)) : NULL;

    if (!g)
        return NULL;
    g->book = b;
    g->kind = kind;
    g->fn = fn;
    g->arg = arg;
    list_push(&b->grants, &g->link);
    if (!is_limited(&key->limits, kind)) {
        g->state = GRANT_FREE;
        b->requests++;
        b->turns += kind == QUOTA_TURN;
        return g;
    }
    g->state = GRANT_ASKING;
    if (send_question(q, g, tokens))
        return g;
    quota_grant_free(g);
    return NULL;
}

/* --- the end ------------------------------------------------------------------------------------ */

static void on_ended(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct quota_grant *g = arg;

    (void)reply;
    quota_answered(g->book->quota);
    g->call = NULL;
    if (!e || e->code != ERR_STORE)
        quota_grant_free(g);        /* else the timer of the books tries again */
}

void quota_grant_end_again(struct quota_grant *g)
{
    const struct apikey *k = g->book->key;
    struct key flight = key_quota(k->tenant, k->id, "flight");
    struct key books = key_usage(k->tenant);
    struct redis_arg keys[] = { key_arg(&flight), key_arg(&books) };
    int64_t numbers[] = { g->spent.prompt, g->spent.completion, g->spent.total, g->tries > 0 };
    char digits[4][24];

    if (g->tries == TRIES_MAX) {
        log_warn(NULL, "quota key=%s a turn's tokens are not in the books", k->id);
        quota_grant_free(g);
        return;
    }
    for (size_t i = 0; i < 4; i++)
        snprintf(digits[i], sizeof(digits[i]), "%" PRId64, numbers[i]);
    g->tries++;
    g->call = quota_send(g->book->quota, &lua_quota_end, keys, 2, (struct redis_arg[]){
        redis_str(k->id), redis_str(g->member), redis_str(digits[0]), redis_str(digits[1]),
        redis_str(digits[2]), redis_str(digits[3]) }, 6, on_ended, g);
}

void quota_end(struct quota_grant *g, const struct quota_spent *spent)
{
    if (!g)
        return;
    if (spent)
        g->spent = *spent;
    switch (g->state) {
    case GRANT_ASKING:
        g->state = GRANT_ABANDONED;
        break;
    case GRANT_HELD:
        g->state = GRANT_ENDING;
        quota_grant_end_again(g);
        break;
    case GRANT_FREE:
        g->book->spent.prompt += g->spent.prompt;
        g->book->spent.completion += g->spent.completion;
        g->book->spent.total += g->spent.total;
        quota_grant_free(g);
        break;
    default:
        quota_grant_free(g);
        break;
    }
}
