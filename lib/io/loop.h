#ifndef CONFAB_LOOP_H
#define CONFAB_LOOP_H
/* The event loop (libevent), timers, signals, and the orderly stop. One loop per
 * process, one thread. Nothing that runs in it may block. */

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
typedef void loop_fn(void *arg);

/* NULL when the system has no place for it. From now on SIGPIPE is ignored: a peer that
 * left shows as EPIPE. */
struct loop *loop_new(void);
/* After everything that has events in it was freed. */
void         loop_free(struct loop *l);
/* Until loop_stop, also when that was called before. */
void         loop_run(struct loop *l);
void         loop_stop(struct loop *l);
struct event_base *loop_base(struct loop *l);   /* for the files of io/ and the gateway */

/* libevent's priorities. Everything is usual; what is urgent (event_priority_set) is looked for
 * again after a few milliseconds, however much else there is to do. */
enum { LOOP_URGENT, LOOP_USUAL };

/* A timer inside its owner's struct. After timer_init it is idle. It fires once, from the
 * loop, never from timer_set itself. 0 ms means the loop's next turn, which is how
 * a callback is kept from running before the call that promised it has returned.
 * It may fire a few milliseconds early: who promises a deadline compares the clock. */
struct timer { struct event event; loop_fn *fn; void *arg; };
void timer_init(struct timer *t, struct loop *l, loop_fn *fn, void *arg);
void timer_set(struct timer *t, int64_t ms);    /* restarts a running one */
/* Fires in this turn of the loop yet, if it is in one, after what is due already: without a look
 * for what else has come. */
void timer_set_soon(struct timer *t);
void timer_stop(struct timer *t);               /* also safe on a zeroed struct */
bool timer_running(const struct timer *t);

/* Calls fn from the loop, not from the signal handler. One fn per signal: the latest.
 * False when the system refuses. */
bool loop_on_signal(struct loop *l, int signo, loop_fn *fn, void *arg);

/* Raises the soft limit of open files to the hard one and returns it: a streamed answer
 * takes two. */
int64_t loop_raise_file_limit(void);

#endif
