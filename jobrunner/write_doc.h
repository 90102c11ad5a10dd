#ifndef CONFAB_WRITE_DOC_H
#define CONFAB_WRITE_DOC_H
/* One task: reserved, its dialog read and rendered, written into the store, settled. It keeps its
 * lease renewed all the while, and stops without a trace when it has lost it. */

#include "lib/base/settings.h"
#include "lib/chat/session.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

#include "jobrunner/store.h"

struct write_doc_deps {                 /* all borrowed, outlive the work */
    struct loop           *loop;
    const struct settings *settings;
    struct redis          *redis;
    struct sessions       *sessions;
    struct store          *store;
    const char            *consumer;    /* our name in the runners' group */
};

struct write_doc;
/* The work has ended, well or ill, and w is gone: settled, not ours, or lost. suspect: nothing was
 * done, the task may kill who runs it: start it again with `alone`. */
typedef void write_doc_fn(void *arg, bool suspect);
/* What the stream said; copied. */
struct write_doc_job { const char *task_id, *entry; bool alone; };
/* alone: nothing else is under way here. Never calls back before it has returned. NULL: out of
 * memory, no callback. */
struct write_doc *write_doc_start(const struct write_doc_deps *d, const struct write_doc_job *job,
                                  write_doc_fn *fn, void *arg);
/* Renews the lease now: Redis was away, and its absence counts as idleness. */
void write_doc_renew(struct write_doc *w);
/* Gives the task back, pending and due at once, as if it had not been tried. Ends as usual. */
void write_doc_hand_back(struct write_doc *w);
/* Drops it as a crash would: nothing is settled, no callback comes. */
void write_doc_free(struct write_doc *w);

#endif
