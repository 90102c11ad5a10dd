#ifndef CONFAB_DOORBELL_H
#define CONFAB_DOORBELL_H
/* The entries of the stream that come to this runner. Two ways lead here: XREADGROUP on the
 * reader's connection, which waits for new ones, and XAUTOCLAIM, which takes over what another
 * runner holds but has not renewed for a lease. After each fault of a read the entries that are
 * ours already are looked through first: a reply that was lost had handed us some.
 *
 * There is never more than one read under way, it asks for no more than there are places, and
 * none is sent while there are none. What still comes too much (by a claim meanwhile) stays ours
 * in the stream, and is found by looking through our own. */

#include "lib/base/settings.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

struct doorbell;
struct doorbell_deps {                  /* all borrowed, outlive the result */
    struct loop           *loop;
    const struct settings *settings;
    struct redis          *redis;       /* commands */
    struct redis          *reader;      /* blocking reads, nothing else */
    const char            *consumer;    /* our name in the group */
};
struct doorbell_handlers {
    /* How many entries can be taken now. */
    size_t (*places)(void *arg);
    /* One has come; task_id is "" when it names none. False: it cannot be taken now, and comes
     * again later. The same entry may come more than once. */
    bool (*on_entry)(void *arg, const char *entry, const char *task_id);
    /* The loop of reads has turned once more, with or without an entry. */
    void (*on_turn)(void *arg);
    /* After doorbell_stop: nothing comes any more. */
    void (*on_silent)(void *arg);
};
struct doorbell *doorbell_new(const struct doorbell_deps *d, const struct doorbell_handlers *on,
                              void *arg);       /* NULL: out of memory */
/* There are places again. */
void doorbell_more(struct doorbell *b);
/* Redis is back. Its absence counted as idle time of every entry, also of those whose runners
 * live: nothing is claimed before all have had a lease's time to renew. */
void doorbell_reconnected(struct doorbell *b);
/* Asks for nothing more. What is just being handed over still comes, then on_silent once, never
 * before the call has returned. */
void doorbell_stop(struct doorbell *b);
void doorbell_free(struct doorbell *b);

#endif
