#include "lib/chat/apikeys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/chat/apikeys_file.h"
#include "lib/chat/lua_scripts.h"
#include "lib/io/list.h"

/* Some hundred keys are busy at a time; two that share a place take turns. */
enum { CACHE_SLOTS = 1024 };

/* Was a key ever made in Redis? */
enum made { MADE_UNKNOWN, MADE_NONE, MADE_SOME };

struct cached {
    char           hash[APIKEY_HASH_SIZE];
    struct apikey *key;             /* NULL: the place is free */
    int64_t        until;           /* clock_ms */
};

struct apikeys {
    struct redis          *redis;       /* borrowed */
    const struct settings *settings;    /* borrowed */
    struct apikeys_file    given;       /* from the settings, sorted by hash */
    struct apikey         *anybody;     /* whoever is let in without a key */
    struct cached          cache[CACHE_SLOTS];
    enum made              made;
    struct timer           look;        /* is it still so that none was made? */
    struct redis_call     *looking;     /* or NULL */
    struct list            calls;
};

struct apikeys_call {
    struct list        link;
    struct apikeys    *keys;            /* borrowed */
    struct redis_call *redis;
    apikeys_fn        *fn;
    void              *arg;
    char               hash[APIKEY_HASH_SIZE];  /* "" = no key was sent */
};

static struct apikey_limits limits_of(const struct settings *s)
{
    return (struct apikey_limits){ s->limits.requests_per_minute, s->limits.in_flight,
                                   s->limits.tokens_per_day };
}

/* --- was a key ever made? --------------------------------------------------------------------- */

/* Once closed, closed until the next start. */
static void set_made(struct apikeys *a, const struct redisReply *count)
{
    enum made before = a->made;
    bool matters = a->settings->server.access == ACCESS_AUTO && a->given.count == 0;

    if (before == MADE_SOME)
        return;
    a->made = redis_reply_int(count) > 0 ? MADE_SOME : MADE_NONE;
    if (!matters || a->made == before)
        return;
    if (a->made == MADE_SOME)
        log_info(NULL, "access open=no: a key was made, and one is needed from now on");
    else
        log_warn(NULL, "access open=yes: there is no key, whoever reaches the port may chat at your "
                       "expense: set API_KEY, or make one with confabctl key add");
}

static void on_looked(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct apikeys *a = arg;

    a->looking = NULL;
    if (!e)
        set_made(a, reply);
}

static void on_look(void *arg)
{
    static const struct redis_arg argv[] = { REDIS_LIT("HGET"), REDIS_LIT(KEYS_INSTALL),
                                             REDIS_LIT("keys") };
    struct apikeys *a = arg;

    if (a->made == MADE_SOME)
        return;
    if (!a->looking)
        a->looking = redis_command(a->redis, 0, argv, 3, on_looked, a);
    timer_set(&a->look, a->settings->limits.key_cache);
}

/* --- what is known ---------------------------------------------------------------------------- */

static struct cached *slot_of(struct apikeys *a, const char *hash)
{
    unsigned slot = 0;

    sscanf(hash, "%3x", &slot);
    return &a->cache[slot % CACHE_SLOTS];
}

static void remember(struct apikeys *a, const char *hash, struct apikey *key)
{
    struct cached *c = slot_of(a, hash);

    apikey_unref(c->key);
    strcpy(c->hash, hash);
    c->key = key;
    c->until = clock_ms() + a->settings->limits.key_cache;
}

static struct apikey *remembered(struct apikeys *a, const char *hash)
{
    struct cached *c = slot_of(a, hash);

    if (!c->key || clock_ms() >= c->until)
        return NULL;
    return text_equal_secret(c->hash, strlen(c->hash), hash, strlen(hash)) ? c->key : NULL;
}

static bool needs_key(const struct apikeys *a)
{
    switch (a->settings->server.access) {
    case ACCESS_KEYS: return true;
    case ACCESS_OPEN: return false;
    default:          return a->given.count > 0 || a->made == MADE_SOME;
    }
}

enum apikeys_answer apikeys_known(struct apikeys *a, const char *token, size_t len,
                                  struct apikey **key)
{
    char hash[APIKEY_HASH_SIZE];

    if (!token) {
        *key = a->anybody;
        if (needs_key(a))
            return APIKEYS_NO;
        return a->settings->server.access == ACCESS_OPEN || a->made == MADE_NONE ? APIKEYS_YES
                                                                                 : APIKEYS_ASK;
    }
    apikey_hash(token, len, hash);
    *key = apikeys_file_find(&a->given, hash);
    if (!*key)
        *key = remembered(a, hash);
    return *key ? APIKEYS_YES : APIKEYS_ASK;
}

/* --- asking Redis ----------------------------------------------------------------------------- */

static void call_free(struct apikeys_call *c)
{
    list_take(&c->link);
    redis_call_cancel(c->redis);
    free(c);
}

static void copy(char *out, size_t size, const struct redisReply *reply)
{
    struct redis_arg text = redis_reply_text(reply);

    if (text.len < size)
        memcpy(out, text.s, text.len);
}

static int64_t limit_of(const struct redisReply *reply)
{
    return redis_reply_text(reply).len > 0 ? redis_reply_int(reply) : -1;
}

/* The key that the reply of key_find tells of, remembered; NULL: none, or no memory for it. */
static struct apikey *read_key(struct apikeys *a, const char *hash, const struct redisReply *reply)
{
    enum { MADE, TENANT, NAME, REQUESTS, IN_FLIGHT, TOKENS };
    struct apikey_limits fallback = limits_of(a->settings);
    struct apikey_spec spec = { .limits = {
        limit_of(redis_reply_at(reply, REQUESTS)), limit_of(redis_reply_at(reply, IN_FLIGHT)),
        limit_of(redis_reply_at(reply, TOKENS)) } };
    struct apikey *key;

    strcpy(spec.hash, hash);
    copy(spec.tenant, sizeof(spec.tenant), redis_reply_at(reply, TENANT));
    copy(spec.name, sizeof(spec.name), redis_reply_at(reply, NAME));
    if (!*spec.tenant)
        return NULL;
    key = apikey_new(&spec, NULL, &fallback);
    if (key)
        remember(a, hash, key);
    return key;
}

static void on_found(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct apikeys_call *c = arg;
    struct apikeys *a = c->keys;
    apikeys_fn *fn = c->fn;
    void *to = c->arg;
    struct apikey *key = NULL;
    struct err refused = ERR_NONE;

    c->redis = NULL;
    if (!e) {
        set_made(a, redis_reply_at(reply, 0));
        key = read_key(a, c->hash, reply);
        if (!key && !needs_key(a))
            key = a->anybody;
        if (!key)
            e = (err_set(&refused, ERR_UNAUTHORIZED, "send Authorization: Bearer <key>"), &refused);
    }
    call_free(c);
    fn(to, key, e);
}

struct apikeys_call *apikeys_ask(struct apikeys *a, const char *token, size_t len, apikeys_fn *fn,
                                 void *arg)
{
    struct apikeys_call *c = calloc(1, sizeof(*c));
    struct redis_arg keys[2] = { REDIS_LIT(KEYS_INSTALL), REDIS_LIT("") };
    struct key key;

    if (!c)
        return NULL;
    c->keys = a;
    c->fn = fn;
    c->arg = arg;
    list_push(&a->calls, &c->link);
    if (token) {
        apikey_hash(token, len, c->hash);
        key = key_apikey(c->hash);
        keys[1] = key_arg(&key);
    }
    c->redis = redis_eval(a->redis, 0, &lua_key_find, keys, 2, NULL, 0, on_found, c);
    if (c->redis)
        return c;
    call_free(c);
    return NULL;
}

void apikeys_cancel(struct apikeys_call *c)
{
    if (c)
        call_free(c);
}

/* --- the whole -------------------------------------------------------------------------------- */

enum err_code apikeys_new(struct loop *l, struct redis *redis, const struct settings *s,
                          struct apikeys **out, struct err *e)
{
    static const struct apikey_spec nobody = { .tenant = "default", .limits = { -1, -1, -1 } };
    struct apikey_limits fallback = limits_of(s);
    struct apikeys *a = calloc(1, sizeof(*a));

    *out = NULL;
    if (!a)
        return err_set(e, ERR_INTERNAL, "out of memory");
    a->redis = redis;
    a->settings = s;
    list_init(&a->calls);
    timer_init(&a->look, l, on_look, a);
    a->anybody = apikey_new(&nobody, "open", &fallback);
    if (!a->anybody)
        err_set(e, ERR_INTERNAL, "out of memory");
    else if (apikeys_file_read(&a->given, s->server.api_keys_file, s->server.api_key, &fallback,
                               e) == ERR_OK) {
        timer_set(&a->look, 0);
        *out = a;
        return ERR_OK;
    }
    apikeys_free(a);
    return e->code;
}

void apikeys_free(struct apikeys *a)
{
    if (!a)
        return;
    timer_stop(&a->look);
    redis_call_cancel(a->looking);
    while (!list_empty(&a->calls))
        call_free(list_owner(a->calls.next, struct apikeys_call, link));
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        apikey_unref(a->cache[i].key);
    apikeys_file_close(&a->given);
    apikey_unref(a->anybody);
    free(a);
}

size_t apikeys_given(const struct apikeys *a)
{
    return a->given.count;
}
