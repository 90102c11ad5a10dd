#ifndef CONFAB_TASK_WORK_H
#define CONFAB_TASK_WORK_H
/* What a runner does with tasks. Each call is one script, which first compares the fence token, so
 * that a runner which lost its lease can change nothing. Time is Redis TIME.
 *
 *   stream entry -> reserve -> (renew | record the document)* -> finish | postpone | fail
 */

#include "lib/chat/task.h"

enum { TASK_TOKEN_SIZE = 33 };

enum task_reserved {
    TASK_RESERVED,      /* ours: status running, attempts counted, lease begun */
    TASK_SETTLED,       /* finished, failed or gone: the entry was acknowledged and deleted */
    TASK_HELD,          /* another runner's lease lives; the entry is left alone */
};

/* e set: ERR_STORE. t borrowed, set with TASK_RESERVED only. */
typedef void task_reserve_fn(void *arg, enum task_reserved what, const struct task *t,
                             const struct err *e);
/* entry: the stream entry's id. token: 32 hex digits, the fence. */
struct redis_call *task_reserve(struct redis *r, const struct settings *s, const char *id,
                                const char *entry, const char *token, const char *consumer,
                                task_reserve_fn *fn, void *arg);

/* held: the token was still ours. Exactly one of "held false" and e NULL tells the rest: e is ERR_STORE
 * when the outcome is unknown; repeat it (all of these may be repeated). */
typedef void task_fenced_fn(void *arg, bool held, const struct err *e);
struct task_hold { const char *id, *entry, *token, *consumer; };
struct redis_call *task_renew(struct redis *r, const struct settings *s, const struct task_hold *h,
                              task_fenced_fn *fn, void *arg);
/* Also renews. A tombstoned document id is refused (held false). */
struct redis_call *task_record(struct redis *r, const struct settings *s, const struct task_hold *h,
                               const char *store, const char *document, task_fenced_fn *fn,
                               void *arg);
/* HSET finished, XACK, XDEL, leaves the open index, unmarks the session; the record gets its ttl. */
struct redis_call *task_finish(struct redis *r, const struct settings *s, const struct task_hold *h,
                               task_fenced_fn *fn, void *arg);
/* Back to pending, due after delay_ms; the attempt is given back unless it counts. */
struct redis_call *task_postpone(struct redis *r, const struct task_hold *h, int64_t delay_ms,
                                 bool counts, const char *code, const char *detail,
                                 task_fenced_fn *fn, void *arg);
/* Failed for good: kept until a person deletes or retries it. */
struct redis_call *task_fail(struct redis *r, const struct settings *s, const struct task_hold *h,
                             const char *code, const char *detail, task_fenced_fn *fn, void *arg);

/* Creates the consumer group (and the stream) when missing. */
typedef void task_done_fn(void *arg, int64_t count, const struct err *e);
struct redis_call *task_group(struct redis *r, task_done_fn *fn, void *arg);
/* Moves tasks whose time has come from the due set to the stream; count: how many. */
struct redis_call *task_wake_due(struct redis *r, task_done_fn *fn, void *arg);
/* Open tasks that neither the stream nor the due set knows are added again; count: how many. A page of
 * the open index at each call; the next call goes on where this one ended. */
struct redis_call *task_reconcile(struct redis *r, task_done_fn *fn, void *arg);

#endif
