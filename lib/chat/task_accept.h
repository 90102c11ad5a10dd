#ifndef CONFAB_TASK_ACCEPT_H
#define CONFAB_TASK_ACCEPT_H
/* Where a handler process has tasks accepted. One script is under way at a time, and what comes
 * meanwhile goes with the next: Redis spends more on running a script than on a task in it, and
 * would not have begun with a second one before the first is on the disk anyway. */

#include "lib/chat/task.h"

struct task_desk;
/* Both borrowed. NULL: out of memory. */
struct task_desk *task_desk_new(struct redis *r, const struct settings *s);
/* Pending callbacks do not come any more. Not from any of them. NULL: nothing. */
void task_desk_free(struct task_desk *d);

struct task_request {
    const char *tenant;
    const char *session; size_t session_len;
    const char *idempotency_key;        /* or NULL */
    const char *body_hash;              /* with a key only */
};
/* e: ERR_NO_SESSION, ERR_KEY_REUSED, ERR_STORE. id is borrowed; for a repeat with the same key
 * the first one's. */
typedef void task_accepted_fn(void *arg, const char *id, const struct err *e);
/* All is copied. Never calls back before it has returned. False: out of memory, no callback. */
bool task_accept(struct task_desk *d, const struct task_request *q, task_accepted_fn *fn,
                 void *arg);

#endif
