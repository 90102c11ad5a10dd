#ifndef CONFAB_QUOTA_H
#define CONFAB_QUOTA_H
/* How much a key may ask, and what it has used.
 *
 * A key with limits is asked about in one script, which counts the request and, for a turn, takes a
 * place and sets tokens aside; a second script, which nobody waits for, gives the place back and
 * puts the tokens that were used in place of those set aside. The place is a lease, renewed here
 * while the turn lives: what a killed process held is free again after session.lease.
 *
 * A key without limits costs no round trip: what it uses is added up here and written down once a
 * second, so that a killed process loses a second of its books at most. */

#include "lib/base/settings.h"
#include "lib/chat/apikey.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

struct quota;           /* this process's side of it */
struct quota_grant;     /* one request, from its question to its end */

/* Both are borrowed. NULL: out of memory. */
struct quota *quota_new(struct loop *l, struct redis *redis, const struct settings *s);
/* What was not written down is lost, and grants are gone: see quota_stop. */
void quota_free(struct quota *q);
/* Writes down what there is, then calls fn, once, from the loop; while Redis is away it does not
 * wait for it. */
void quota_stop(struct quota *q, loop_fn *fn, void *arg);

enum quota_limit { QUOTA_REQUESTS, QUOTA_TURNS, QUOTA_TOKENS, QUOTA_LIMITS };
/* For the headers of a reply. limit 0: there is none. */
struct quota_state {
    struct { int64_t limit, left, reset_ms; } of[QUOTA_LIMITS];
    enum quota_limit met;           /* which refused; QUOTA_LIMITS = none */
};

/* e: ERR_LIMITED with retry_after (then state is set as well), or ERR_STORE. */
typedef void quota_fn(void *arg, const struct quota_state *state, const struct err *e);

/* A request that is no turn, or a turn, which sets tokens aside. Never calls back before it has
 * returned; does not call back at all when the key has no limit that matters: then
 * quota_pending is false at once. Due in any case: quota_end. NULL: out of memory. */
enum quota_kind { QUOTA_REQUEST, QUOTA_TURN };
struct quota_grant *quota_ask(struct quota *q, struct apikey *key, enum quota_kind kind,
                              int64_t tokens, quota_fn *fn, void *arg);
bool quota_pending(const struct quota_grant *g);        /* the callback is still to come */

/* No callback comes any more. spent NULL: nothing. g NULL: nothing happens. */
struct quota_spent { int64_t prompt, completion, total; };
void quota_end(struct quota_grant *g, const struct quota_spent *spent);

/* --- what was used ---------------------------------------------------------------------------- */

struct quota_usage {                /* of one key on one day */
    char    day[11];                /* 2026-03-01 */
    char    id[APIKEY_ID_SIZE], name[APIKEY_NAME_MAX + 1];
    int64_t requests, refused, turns, prompt, completion, total, reserved;
};
enum { QUOTA_DAYS_MAX = 400 };
/* Newest day first, then by name. Borrowed during the callback. */
typedef void quota_usage_fn(void *arg, const struct quota_usage *rows, size_t count,
                            const struct err *e);
struct quota_read;
/* NULL: out of memory, no callback. */
struct quota_read *quota_read(struct redis *r, const char *tenant, int64_t days,
                              quota_usage_fn *fn, void *arg);
void quota_read_cancel(struct quota_read *c);           /* NULL: nothing */

#endif
