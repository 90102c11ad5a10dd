#ifndef CONFAB_TASK_QUEUE_H
#define CONFAB_TASK_QUEUE_H
/* The queue as a whole: what keeps it in order, and whether it is paused.
 *
 * A task that is accepted, or due again, stands in line until the stream has a place for it. The
 * stream is kept short, just long enough that no runner waits, because whoever is in it has left
 * the line; in the line the tenants take turns. */

#include "lib/chat/task.h"

typedef void task_done_fn(void *arg, int64_t count, const struct err *e);
/* Creates the consumer group (and the stream) when missing; count: 1 when it was. */
struct task_call *task_group(struct redis *r, task_done_fn *fn, void *arg);
/* To be called every second or so: moves tasks whose time has come from the due set into the
 * line, TASK_WAKE_MAX at most; count: how many. Fills the stream up, and sends the canary of a
 * paused queue when it is time. */
enum { TASK_WAKE_MAX = 100 };
struct task_call *task_wake_due(struct redis *r, const struct settings *s, task_done_fn *fn,
                                void *arg);
/* Deletes consumers that nothing was heard of for idle_ms and that hold no entry, never others;
 * count: how many. */
struct task_call *task_forget_consumers(struct redis *r, int64_t idle_ms, task_done_fn *fn,
                                        void *arg);

/* The tenants' indexes are looked through page by page. cursor: "" to begin, then what `next` said;
 * next "": all were seen. count: how many were found wanting. */
enum { TASK_CURSOR_OF_ALL_SIZE = KEYS_TENANT_MAX + 48 };
typedef void task_page_fn(void *arg, int64_t count, const char *next, const struct err *e);
/* Open tasks that neither the stream, the line nor the due set knows are added again. Does not begin
 * within lately_ms of another's beginning: then there is no page. */
struct task_call *task_reconcile(struct redis *r, const char *cursor, int64_t lately_ms,
                                 task_page_fn *fn, void *arg);
/* What stands for records that have expired goes. */
struct task_call *task_sweep_index(struct redis *r, const struct settings *s, const char *cursor,
                                   task_page_fn *fn, void *arg);

/* May this document in the staging folder be trashed? count: 1 when its task has another one, or
 * is gone; from then on nobody can record it. Else 0. */
struct task_call *task_sweep_document(struct redis *r, const char *task_id, const char *document,
                                      task_done_fn *fn, void *arg);
/* One write out of what all runners together may make in a minute. count: 0 when it was given, or
 * how many ms until there may be one. */
struct task_call *task_budget(struct redis *r, int64_t per_minute, task_done_fn *fn, void *arg);

/* A pause by hand stays until it is lifted by hand; going on lifts any pause. words: why. */
struct task_call *task_hold_queue(struct redis *r, bool pause, const char *words,
                                  task_done_fn *fn, void *arg);

struct task_queue_state {
    bool    paused, by_hand;
    char    code[40];           /* of the fault of configuration that pauses it, or "" */
    char    words[256];         /* what to change, or why somebody paused it */
    int64_t since, next_try;    /* wall ms; 0 = does not apply */
    int64_t open, running, due, waiting;        /* how many; all but open are also open */
};
typedef void task_state_fn(void *arg, const struct task_queue_state *s, const struct err *e);
struct task_call *task_queue_state(struct redis *r, task_state_fn *fn, void *arg);

#endif
