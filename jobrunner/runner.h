#ifndef CONFAB_RUNNER_H
#define CONFAB_RUNNER_H
/* The consume loop: reads the stream, takes over what dead runners left, and keeps up to
 * tasks.concurrency tasks in flight, each a struct write_doc. Redis may be away at any time and
 * for any time: the runner goes on when it is back. */

#include "lib/base/settings.h"
#include "lib/chat/session.h"
#include "lib/io/loop.h"
#include "lib/io/pool.h"
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
    struct pool_slot      *slot;        /* where it tells that its loop turns; NULL: nowhere */
};
struct runner *runner_new(const struct runner_deps *d);     /* NULL: out of memory */
/* Takes no more; what is in flight ends or, after tasks.stop_timeout, is handed back (pending at
 * once). on_stopped comes once, never before the call has returned; then runner_free. */
void runner_stop(struct runner *r, loop_fn *on_stopped, void *arg);
/* Without runner_stop: as a crash would; what was in flight is taken over when its lease ends. */
void runner_free(struct runner *r);

#endif
