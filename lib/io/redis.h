#ifndef CONFAB_REDIS_H
#define CONFAB_REDIS_H
/* One asynchronous connection to Redis, which reconnects by itself. Only the files redis*.c
 * include hiredis.
 *
 * Every call ends in exactly one callback, never before the call has returned: with a
 * reply, or with an error once it has waited for `timeout` and Redis has been silent as long;
 * while other calls are answered, after ten times that. Calls are sent at once and answered in
 * order (a script that the server does not know yet moves behind those already sent). While
 * there is no connection, calls made before the pending attempt's outcome wait for it within
 * their own deadline, and calls made between attempts fail at once (ERR_STORE). A call that
 * comes to nothing on an open connection means that Redis is stuck: the connection is dropped,
 * all that was under way on it fails, and a new one is tried at once, then with backoff (50 ms
 * to 1 s), so that a Redis which is back is used again within 2 s, or connect_timeout if
 * that is longer. A command that blocks (XREADGROUP BLOCK) holds up those behind it: it takes a
 * timeout well above its own, and a connection of its own.
 *
 * A call that failed with ERR_STORE may or may not have been carried out.
 *
 * Server errors are errors here: NOSCRIPT is answered by sending the script once more; LOADING,
 * READONLY, MASTERDOWN, BUSY, CLUSTERDOWN, NOAUTH, WRONGPASS, OOM, MISCONF, NOREPLICAS, UNBLOCKED
 * are ERR_STORE; a script's own error reply (and any other) is ERR_INTERNAL with the server's
 * words. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/io/loop.h"

struct redis;
struct redis_call;
struct redisReply;

struct redis_options {
    const char *url;             /* of the forms in redis_url.h */
    int64_t     connect_timeout; /* ms */
    int64_t     timeout;         /* ms, default of a call */
    const char *name;            /* for CLIENT SETNAME and the log; no blanks */
    int64_t     replicas;        /* that must have what redis_eval_kept writes; 0: none */
    int64_t     replica_timeout; /* ms, for them to have it */
};

/* ERR_INVALID when the URL is wrong. Names are resolved without blocking. The connection
 * is begun at once. The URL's password goes nowhere but to the server. */
enum err_code redis_new(struct loop *l, const struct redis_options *o, struct redis **out,
                        struct err *e);
/* Pending callbacks do not come any more. May be called from any of them. */
void redis_free(struct redis *r);
bool redis_is_up(const struct redis *r);
/* Told at each change, from the loop; NULL for none. up: authenticated, database selected, not
 * loading. */
typedef void redis_state_fn(void *arg, bool up);
void redis_on_state(struct redis *r, redis_state_fn *fn, void *arg);
/* Beside it, for who uses redis_eval_kept: that its connection is up, again. fn NULL: none. */
void redis_on_kept_up(struct redis *r, loop_fn *fn, void *arg);

/* reply is borrowed, valid during the callback; NULL exactly when e is set, else e is NULL. */
typedef void redis_fn(void *arg, const struct redisReply *reply, const struct err *e);

/* Arguments are copied before the call returns. timeout_ms 0: the default. NULL is returned
 * only when memory is out; then no callback comes. */
struct redis_arg { const char *s; size_t len; };
struct redis_call *redis_command(struct redis *r, int64_t timeout_ms, const struct redis_arg *argv,
                                 size_t argc, redis_fn *fn, void *arg);

/* A Lua script: EVALSHA, and EVAL when the server does not know it yet. */
struct redis_script { const char *name; const char *text; const char *sha1; };
struct redis_call *redis_eval(struct redis *r, int64_t timeout_ms, const struct redis_script *s,
                              const struct redis_arg *keys, size_t nkeys,
                              const struct redis_arg *args, size_t nargs, redis_fn *fn, void *arg);
/* The same for what must outlive a failover: the answer comes once options.replicas replicas have
 * all that the script wrote and all that it found. ERR_STORE when they do not have it in time: it
 * is written all the same, and a repeat asks them again. Without replicas it is redis_eval; with
 * them these calls have a connection of their own, where they keep their order among each other. */
struct redis_call *redis_eval_kept(struct redis *r, int64_t timeout_ms,
                                   const struct redis_script *s, const struct redis_arg *keys,
                                   size_t nkeys, const struct redis_arg *args, size_t nargs,
                                   redis_fn *fn, void *arg);
/* The callback does not come any more. What was sent may still be carried out. Not after the
 * callback has returned. NULL: nothing. */
void redis_call_cancel(struct redis_call *c);

/* Messages of one channel, on a connection of its own: a redis that has subscribed takes no
 * other commands. Subscribes again after each reconnect; what was published meanwhile is lost.
 * False when there is a subscription already, or no memory. */
typedef void redis_message_fn(void *arg, const char *message, size_t len);
bool redis_subscribe(struct redis *r, const char *channel, redis_message_fn *fn, void *arg);

/* Reading replies without hiredis' header. A missing or differently typed element reads
 * as "", 0, 0 elements or NULL. Integers are also read from strings. */
struct redis_arg redis_reply_text(const struct redisReply *r);
int64_t          redis_reply_int(const struct redisReply *r);
size_t           redis_reply_count(const struct redisReply *r);
const struct redisReply *redis_reply_at(const struct redisReply *r, size_t i);
bool             redis_reply_is_nil(const struct redisReply *r);

/* Shorthand for literals and C strings. */
#define REDIS_LIT(s) ((struct redis_arg){ "" s, sizeof(s) - 1 })
struct redis_arg redis_str(const char *s);

#endif
