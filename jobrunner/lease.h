#ifndef CONFAB_LEASE_H
#define CONFAB_LEASE_H
/* Our hold on a reserved task: renewed every third of the lease, for as long as it is needed, also
 * while Redis comes and goes. Once it is lost there is one on_lost, and nothing else comes. */

#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/chat/task_work.h"
#include "lib/io/loop.h"

struct lease {
    struct redis          *redis;           /* borrowed, like all pointers here */
    const struct settings *settings;
    const struct log      *log;
    struct task_hold       hold;
    loop_fn               *on_lost;
    void                  *arg;

    struct timer           timer;           /* to the next renewal */
    struct task_call      *renewal;
    int64_t                sent;            /* clock_ms: a lease counts from the asking */
    int64_t                end;             /* not before; clock_ms */

    struct timer           again;           /* repeats the step below */
    struct task_call      *recording;
    const char            *store, *document;
    int64_t                record_sent, needed_ms;
    loop_fn               *on_ready;        /* NULL: nobody waits */
};

/* asked_at: clock_ms when the reservation was sent. What hold points to outlives the lease. */
void lease_init(struct lease *l, struct loop *loop, struct redis *r, const struct settings *s,
                const struct log *log, const struct task_hold *hold, int64_t asked_at,
                loop_fn *on_lost, void *arg);
/* Safe on a zeroed struct, and twice. Nothing comes any more; the task is not given back. */
void lease_close(struct lease *l);

/* Calls on_ready, at once or later, when ms from now are covered by the lease and, unless it is
 * NULL, the document is recorded. One at a time. store and document are borrowed until then. */
void lease_step(struct lease *l, int64_t ms, const char *store, const char *document,
                loop_fn *on_ready);
/* Redis was away, and its absence counts: renews now. */
void lease_renew(struct lease *l);

#endif
