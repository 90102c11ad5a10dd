#ifndef CONFAB_TASK_WORK_H
#define CONFAB_TASK_WORK_H
/* What a runner does with tasks. Each call is one script, which first compares the fence token,
 * so that a runner which lost its lease can change nothing. Time is that of Redis.
 *
 *   stream entry -> reserve -> (renew | record the document)* -> finish | postpone | fail
 *
 * All of these may be repeated after ERR_STORE, which leaves open whether they were carried out. */

#include "lib/chat/task.h"

enum { TASK_TOKEN_SIZE = 33 };

enum task_reserved {
    TASK_RESERVED,      /* ours: status running, attempt counted, lease begun */
    TASK_SETTLED,       /* finished, failed, gone or rung twice: the entry was deleted */
    TASK_HELD,          /* another runner's lease lives; the entry is left alone */
};

/* t is borrowed, set with TASK_RESERVED only. e NULL or set. */
typedef void task_reserve_fn(void *arg, enum task_reserved what, const struct task *t,
                             const struct err *e);
/* entry: the stream entry's id. token: 32 hex digits, the fence, one for each reservation. */
struct task_call *task_reserve(struct redis *r, const struct settings *s, const char *id,
                               const char *entry, const char *token, const char *consumer,
                               task_reserve_fn *fn, void *arg);

/* Who holds which task; borrowed during the call only. */
struct task_hold { const struct task *task; const char *token, *consumer; };

/* held: it was carried out under our token, now or by an earlier try. Not held and no error: the
 * task is another's now, or gone; nothing was changed. */
typedef void task_fenced_fn(void *arg, bool held, const struct err *e);
struct task_call *task_renew(struct redis *r, const struct settings *s, const struct task_hold *h,
                             task_fenced_fn *fn, void *arg);
/* Also renews. A document that is about to be swept away is refused (not held). */
struct task_call *task_record(struct redis *r, const struct settings *s, const struct task_hold *h,
                              const char *store, const char *document, task_fenced_fn *fn,
                              void *arg);
/* Finished: out of stream and open index, the session's mark taken off, the record gets its ttl. */
struct task_call *task_finish(struct redis *r, const struct settings *s, const struct task_hold *h,
                              const char *store, const char *document, task_fenced_fn *fn,
                              void *arg);
/* Back to pending, due after delay_ms; the attempt is given back unless it counts. code "" is no
 * failure: the task was only handed back, and its last error stays. */
struct task_call *task_postpone(struct redis *r, const struct task_hold *h, int64_t delay_ms,
                                bool counts, const char *code, const char *detail,
                                task_fenced_fn *fn, void *arg);
/* Failed for good: as finished, but the record is kept until a person deletes or retries it. */
struct task_call *task_fail(struct redis *r, const struct settings *s, const struct task_hold *h,
                            const char *code, const char *detail, task_fenced_fn *fn, void *arg);

typedef void task_done_fn(void *arg, int64_t count, const struct err *e);
/* Creates the consumer group (and the stream) when missing; count: 1 when it was. */
struct task_call *task_group(struct redis *r, task_done_fn *fn, void *arg);
/* Moves tasks whose time has come from the due set to the stream, TASK_WAKE_MAX at most; count:
 * how many. */
enum { TASK_WAKE_MAX = 100 };
struct task_call *task_wake_due(struct redis *r, task_done_fn *fn, void *arg);
/* Deletes consumers that nothing was heard of for idle_ms and that hold no entry, never others;
 * count: how many. */
struct task_call *task_forget_consumers(struct redis *r, int64_t idle_ms, task_done_fn *fn,
                                        void *arg);

/* One page of the open index: tasks that neither the stream nor the due set knows are added
 * again; added: how many. cursor: 0 to begin, then what `next` said; next 0: all were seen. */
typedef void task_reconciled_fn(void *arg, int64_t added, uint64_t next, const struct err *e);
struct task_call *task_reconcile(struct redis *r, uint64_t cursor, task_reconciled_fn *fn,
                                 void *arg);

#endif
