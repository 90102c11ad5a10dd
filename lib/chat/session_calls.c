/* How a turn speaks to its scripts. Each script's head in lua/ tells the order of its keys
 * and arguments, and what it answers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/session_turn.h"

/* The lock's key outlives any turn: a fence forgotten while its owner lives would be no fence. */
enum { LOCK_MARGIN_MS = 5 * 60 * 1000 };

enum { DEFAULT_TIMEOUT = 0 };

/* A token is some four bytes, and the window is counted where it is used: what is read for it has
 * to be enough, whatever the model makes of the text. */
enum { TOKEN_BYTES = 8 };

/* Arguments of one script; numbers are written into digits. */
struct args {
    struct redis_arg argv[8];
    size_t           argc;
    char             digits[8][TEXT_DECIMAL_SIZE];
};

static void add(struct args *a, struct redis_arg arg)
{
    a->argv[a->argc++] = arg;
}

static void add_number(struct args *a, int64_t n)
{
    char *digits = a->digits[a->argc];
    size_t len = text_decimal(digits, n);

    add(a, (struct redis_arg){ digits, len });
}

/* A turn's keys, put together for one call. */
struct turn_keys { struct key hash, msgs, lock, wait, index, idem; };

static struct turn_keys keys_of(const struct session_turn *t)
{
    const char *tenant = t->text;
    struct turn_keys k = {
        .hash = key_session(tenant, t->id, t->id_len, ""),
        .msgs = key_session(tenant, t->id, t->id_len, "msgs"),
        .lock = key_session(tenant, t->id, t->id_len, "lock"),
        .wait = key_session(tenant, t->id, t->id_len, "wait"),
        .index = key_sessions_index(tenant),
    };

    if (*t->idem)
        k.idem = key_idempotency(tenant, t->idem);
    return k;
}

/* "<channel> <ticket>": who this turn is, for the lock and its queue. */
struct me { char s[KEYS_SIZE + 24]; };

static struct me me_of(const struct session_turn *t)
{
    const struct key *channel = &t->sessions->channel;
    struct me me;

    memcpy(me.s, channel->s, channel->len);
    me.s[channel->len] = ' ';
    text_decimal(me.s + channel->len + 1, (int64_t)t->ticket);
    return me;
}

/* Twice what it has to be, for a grant may find half of it gone. */
int64_t session_lock_life(const struct settings *s)
{
    return 2 * (s->model.turn_timeout + s->session.wait + s->session.lease + LOCK_MARGIN_MS);
}

const char *session_life(const struct settings *s, char out[SESSION_LIFE_SIZE])
{
    snprintf(out, SESSION_LIFE_SIZE, "%" PRId64 " %" PRId64, s->session.ttl, s->session.max_age);
    return out;
}

/* All on the connection for what is kept, so that they stay in order: a grant that a failover
 * took back could be another's as well, and the answer to a repeat has to last as the first. */
static struct redis_call *call(struct session_turn *t, int64_t timeout,
                               const struct redis_script *script, const struct redis_arg *keys,
                               size_t nkeys, const struct args *a, redis_fn *fn)
{
    return redis_eval_kept(t->sessions->redis, timeout, script, keys, nkeys, a->argv, a->argc,
                           fn, t);
}

struct redis_call *session_call_begin(struct session_turn *t, int64_t timeout, redis_fn *fn)
{
    const struct settings *s = t->sessions->settings;
    struct turn_keys k = keys_of(t);
    struct redis_arg keys[] = { key_arg(&k.hash), key_arg(&k.msgs), key_arg(&k.lock),
                                key_arg(&k.wait), key_arg(&k.idem) };
    struct me me = me_of(t);
    struct args a = { .argc = 0 };

    add(&a, redis_str(me.s));
    add_number(&a, s->session.lease);
    add_number(&a, session_lock_life(s));
    add_number(&a, s->session.lease);   /* a dead waiter holds up as long as a dead owner */
    add_number(&a, s->session.busy == SESSION_BUSY_WAIT);
    add_number(&a, s->session.context_messages / 2);
    add_number(&a, s->session.context_tokens * TOKEN_BYTES);
    add(&a, redis_str(t->says));
    return call(t, timeout, &lua_turn_begin, keys, 5, &a, fn);
}

struct redis_call *session_call_renew(struct session_turn *t, redis_fn *fn)
{
    const struct settings *s = t->sessions->settings;
    struct turn_keys k = keys_of(t);
    struct redis_arg keys[] = { key_arg(&k.lock), key_arg(&k.idem) };
    struct me me = me_of(t);
    struct args a = { .argc = 0 };

    add_number(&a, t->fence);
    add_number(&a, s->session.lease);
    add_number(&a, session_lock_life(s));
    add(&a, redis_str(me.s));
    return call(t, DEFAULT_TIMEOUT, &lua_turn_renew, keys, 2, &a, fn);
}

struct redis_call *session_call_save(struct session_turn *t, redis_fn *fn)
{
    const struct settings *s = t->sessions->settings;
    struct turn_keys k = keys_of(t);
    struct redis_arg keys[] = { key_arg(&k.hash), key_arg(&k.msgs),  key_arg(&k.lock),
                                key_arg(&k.wait), key_arg(&k.index), key_arg(&k.idem) };
    char life[SESSION_LIFE_SIZE];
    struct args a = { .argc = 0 };

    add_number(&a, t->fence);
    add_number(&a, t->number);
    add(&a, (struct redis_arg){ t->entry, t->entry_len });
    add(&a, (struct redis_arg){ t->id, t->id_len });
    add(&a, redis_str(session_life(s, life)));
    add(&a, redis_str(t->says));
    add_number(&a, s->session.idempotency_ttl);
    add(&a, redis_str(t->title ? t->title : ""));
    return call(t, DEFAULT_TIMEOUT, &lua_turn_save, keys, 6, &a, fn);
}

struct redis_call *session_call_release(struct session_turn *t, redis_fn *fn)
{
    struct turn_keys k = keys_of(t);
    struct redis_arg keys[] = { key_arg(&k.lock), key_arg(&k.wait), key_arg(&k.idem) };
    struct me me = me_of(t);
    struct args a = { .argc = 0 };

    add(&a, redis_str(me.s));
    return call(t, DEFAULT_TIMEOUT, &lua_turn_release, keys, 3, &a, fn);
}
