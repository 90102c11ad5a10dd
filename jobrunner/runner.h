#ifndef CONFAB_RUNNER_H
#define CONFAB_RUNNER_H
/* The consume loop: reads the stream, takes over what dead runners left, wakes what is due, and keeps
 * up to tasks.concurrency tasks in flight, each a struct write_doc. */

#include "lib/base/settings.h"
#include "lib/chat/session.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

#include "jobrunner/store.h"

struct runner;
struct runner_deps {
    struct loop           *loop;
    const struct settings *settings;
    struct redis          *redis;       /* commands */
    struct redis          *reader;      /* blocking reads, nothing else */
    struct sessions       *sessions;
    struct store          *store;
};
struct runner *runner_new(const struct runner_deps *d);     /* NULL: out of memory */
/* Takes no more; what is in flight ends or, after tasks.stop_timeout, is handed back (pending at once).
 * on_stopped comes once. */
void runner_stop(struct runner *r, loop_fn *on_stopped, void *arg);
void runner_free(struct runner *r);

#endif
