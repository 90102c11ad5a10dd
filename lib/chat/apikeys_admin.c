#include "lib/chat/apikeys_admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/lua_scripts.h"

enum { WHICH_MIN = 8 };

struct call {
    union { apikeys_done_fn *done; apikeys_list_fn *list; } tell;
    void *arg;
    char  name[KEYS_TENANT_MAX + APIKEY_NAME_MAX + 2];
};

static bool send_call(struct redis *r, const struct redis_script *script, const struct redis_arg *keys,
                      size_t nkeys, const struct redis_arg *args, size_t nargs, const struct call *call,
                      redis_fn *on_reply)
{
    struct call *c = malloc(sizeof(*c));

    if (!c)
        return false;
    *c = *call;
    if (redis_eval(r, 0, script, keys, nkeys, args, nargs, on_reply, c))
        return true;
    free(c);
    return false;
}

static bool says(const struct redisReply *reply, const char *word)
{
    return strcmp(redis_reply_text(redis_reply_at(reply, 0)).s, word) == 0;
}

/* --- add ---------------------------------------------------------------------------------------- */

static void on_added(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct call c = *(struct call *)arg;
    struct err taken = ERR_NONE;

    free(arg);
    if (!e && says(reply, "taken")) {
        err_set(&taken, ERR_INVALID, "there is a key %s already: revoke it, or choose another name",
                c.name);
        e = &taken;
    }
    c.tell.done(c.arg, c.name, e);
}

static struct redis_arg limit(int64_t n, char digits[24])
{
    if (n < 0)
        return REDIS_LIT("");
    snprintf(digits, 24, "%" PRId64, n);
    return redis_str(digits);
}

bool apikeys_add(struct redis *r, const struct apikey_spec *spec, apikeys_done_fn *fn, void *arg)
{
    struct key key = key_apikey(spec->hash);
    struct call c = { .tell.done = fn, .arg = arg };
    char digits[3][24];
    struct redis_arg keys[] = { REDIS_LIT(KEYS_INSTALL), key_arg(&key), REDIS_LIT(KEYS_APIKEYS) };
    struct redis_arg args[] = {
        redis_str(spec->tenant), redis_str(spec->name), redis_str(spec->hash),
        limit(spec->limits.requests_per_minute, digits[0]),
        limit(spec->limits.in_flight, digits[1]),
        limit(spec->limits.tokens_per_day, digits[2]),
    };

    snprintf(c.name, sizeof(c.name), "%s:%s", spec->tenant, spec->name);
    return send_call(r, &lua_key_add, keys, 3, args, 6, &c, on_added);
}

/* --- revoke ------------------------------------------------------------------------------------- */

static void on_revoked(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct call c = *(struct call *)arg;
    struct err fault = ERR_NONE;

    free(arg);
    if (!e && says(reply, "several"))
        e = (err_set(&fault, ERR_INVALID, "several keys begin with %s: give more of it", c.name),
             &fault);
    else if (!e && !says(reply, "revoked"))
        e = (err_set(&fault, ERR_INVALID, "there is no key %s in Redis", c.name), &fault);
    c.tell.done(c.arg, e ? c.name : redis_reply_text(redis_reply_at(reply, 1)).s, e);
}

bool apikeys_revoke(struct redis *r, const char *which, apikeys_done_fn *fn, void *arg)
{
    struct key begins = key_apikey("");
    struct redis_arg keys[] = { REDIS_LIT(KEYS_APIKEYS), key_arg(&begins) };
    struct redis_arg args[] = { redis_str(which) };
    struct call c = { .tell.done = fn, .arg = arg };

    snprintf(c.name, sizeof(c.name), "%s", which);
    if (strlen(which) < WHICH_MIN && !strchr(which, ':'))
        args[0] = REDIS_LIT(":");       /* nobody's */
    return send_call(r, &lua_key_revoke, keys, 2, args, 1, &c, on_revoked);
}

/* --- list --------------------------------------------------------------------------------------- */

static void copy(char *out, size_t size, const struct redisReply *reply)
{
    snprintf(out, size, "%s", redis_reply_text(reply).s);
}

static int64_t limit_of(const struct redisReply *reply)
{
    return redis_reply_text(reply).len > 0 ? redis_reply_int(reply) : -1;
}

static int by_name(const void *a, const void *b)
{
    const struct apikeys_row *x = a, *y = b;
    int order = strcmp(x->spec.tenant, y->spec.tenant);

    return order ? order : strcmp(x->spec.name, y->spec.name);
}

static void on_list(void *arg, const struct redisReply *reply, const struct err *e)
{
    enum { HASH, TENANT, NAME, CREATED, REQUESTS, IN_FLIGHT, TOKENS, FIELDS };
    struct call c = *(struct call *)arg;
    size_t count = redis_reply_count(reply) / FIELDS;
    struct apikeys_row *rows = calloc(count + 1, sizeof(*rows));
    struct err oom = ERR_NONE;

    free(arg);
    for (size_t i = 0; rows && i < count; i++) {
        const struct redisReply *field[FIELDS];

        for (size_t f = 0; f < FIELDS; f++)
            field[f] = redis_reply_at(reply, i * FIELDS + f);
        copy(rows[i].spec.hash, sizeof(rows[i].spec.hash), field[HASH]);
        copy(rows[i].spec.tenant, sizeof(rows[i].spec.tenant), field[TENANT]);
        copy(rows[i].spec.name, sizeof(rows[i].spec.name), field[NAME]);
        rows[i].created_at = redis_reply_int(field[CREATED]);
        rows[i].spec.limits = (struct apikey_limits){
            limit_of(field[REQUESTS]), limit_of(field[IN_FLIGHT]), limit_of(field[TOKENS]) };
    }
    if (rows)
        qsort(rows, count, sizeof(*rows), by_name);
    else if (!e)
        e = (err_set(&oom, ERR_INTERNAL, "out of memory"), &oom);
    c.tell.list(c.arg, rows, e ? 0 : count, e);
    free(rows);
}

bool apikeys_list(struct redis *r, const char *tenant, apikeys_list_fn *fn, void *arg)
{
    struct key begins = key_apikey("");
    struct redis_arg keys[] = { REDIS_LIT(KEYS_APIKEYS), key_arg(&begins) };
    struct redis_arg args[] = { redis_str(tenant) };
    struct call c = { .tell.list = fn, .arg = arg };

    return send_call(r, &lua_key_list, keys, 2, args, 1, &c, on_list);
}
