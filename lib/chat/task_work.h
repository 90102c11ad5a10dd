#ifndef CONFAB_TASK_WORK_H
#define CONFAB_TASK_WORK_H
/* What a runner does with tasks. Each call is one script, which first compares the fence token,
 * so that a runner which lost its lease can change nothing. Time is that of Redis.
 *
 *   stream entry -> reserve -> (renew | record the document)* -> finish | postpone | fail | pause
 *
 * All of these may be repeated after ERR_STORE, which leaves open whether they were carried out. */

#include "lib/chat/session.h"
#include "lib/chat/task.h"

enum { TASK_TOKEN_SIZE = 17, TASK_PAGE_TURNS = 50 };

enum task_reserved {
    TASK_RESERVED,      /* ours: status running, attempt counted, lease begun */
    TASK_POISON,        /* the same, but it killed its runner while it ran alone: to be failed */
    TASK_SUSPECT,       /* in flight in two crashes: ask again when it would run alone */
    TASK_SETTLED,       /* finished, failed, gone, rung twice or paused: the entry was deleted */
    TASK_HELD,          /* another runner's lease lives; the entry is left alone */
};

/* t is borrowed, set with TASK_RESERVED and TASK_POISON only. begun: of a dialog that was no longer
 * than TASK_PAGE_TURNS its turns, as session_read_as_of would tell them; borrowed, or NULL. e NULL
 * or set. */
typedef void task_reserve_fn(void *arg, enum task_reserved what, const struct task *t,
                             const struct session_page *begun, const struct err *e);
/* entry: the stream entry's id. token: 16 hex digits, the fence, one for each reservation. alone:
 * nothing else is in flight in this process, nor will be until this has ended. */
struct task_ask { const char *id, *entry, *token, *consumer; bool alone; };
struct task_call *task_reserve(struct redis *r, const struct settings *s, const struct task_ask *q,
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
struct task_call *task_postpone(struct redis *r, const struct settings *s,
                                const struct task_hold *h, int64_t delay_ms, bool counts,
                                const char *code, const char *detail, task_fenced_fn *fn,
                                void *arg);
/* A fault of configuration: back to pending, and the queue is paused until a task that tries for
 * all (tasks.canary_base to canary_max apart) meets it no more. ERR_TASK_STATE: other tasks go
 * well meanwhile, so the fault is this task's own; nothing was changed. */
struct task_call *task_pause(struct redis *r, const struct settings *s, const struct task_hold *h,
                             const char *code, const char *detail, task_fenced_fn *fn, void *arg);
/* Failed for good: as finished, but the record is kept until a person deletes or retries it, and
 * the dialog as long, unless sessions have a max_age. */
struct task_call *task_fail(struct redis *r, const struct settings *s, const struct task_hold *h,
                            const char *code, const char *detail, task_fenced_fn *fn, void *arg);

#endif
