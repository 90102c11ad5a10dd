#ifndef CONFAB_STORE_H
#define CONFAB_STORE_H
/* Where documents go: the table of stores. A store writes one document per job by steps that can
 * each be repeated; it knows nothing of tasks and leases.
 *
 * Before every step that touches the outside the store calls on_checkpoint and waits for
 * store_proceed: there the runner renews its lease, and records a document id that has just become
 * known. So a crash at any point leaves either no document in sight or one whose id is recorded. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/settings.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

/* How a fault is to be treated. */
enum store_verdict {
    STORE_OK,
    STORE_TRY_AGAIN,     /* costs an attempt */
    STORE_LIMITED,       /* a quota answer: wait (retry_after), costs no attempt */
    STORE_AWAY,          /* connection faults, 5xx: costs no attempt for tasks.fault_grace */
    STORE_MISCONFIGURED, /* the operator must change something: detail says what */
    STORE_IMPOSSIBLE,    /* this job can never succeed */
};

/* A dialog that is larger than the store's documents may be comes as several pages in a row, each
 * of which becomes a document; their ids are recorded as one text, with blanks between them. */
enum { STORE_PAGES_MAX = 16, STORE_DOCUMENT_SIZE = 1024 };
struct store_job {                   /* borrowed until on_done or store_cancel */
    const char *task_id;
    const char *name;                /* of the document: the session id */
    const char *document;            /* recorded by an earlier attempt, or "" */
    const char *html; size_t html_len;
    const size_t *page_ends;         /* in html; may be NULL when there is one */
    size_t pages;                    /* 0 is 1 */
};

struct store_handlers {
    /* The store is about to act on the outside for up to `ms`. document: newly known id to
     * record first, or NULL. Answer with store_proceed or store_cancel, at once or later. */
    void (*on_checkpoint)(void *arg, const char *document, int64_t ms);
    /* The end. document: where it is now (with STORE_OK). e: NULL with STORE_OK. The op is gone. */
    void (*on_done)(void *arg, enum store_verdict verdict, const char *document,
                    const struct err *e);
};

struct store;
struct store_op;

struct store_deps { struct loop *loop; struct redis *redis; const struct settings *settings; };
/* The store that the settings name. ERR_INVALID names the setting at fault. */
enum err_code store_open(const struct store_deps *d, struct store **out, struct err *e);
void          store_close(struct store *s);
const char   *store_name(const struct store *s);     /* "google", "folder" */
/* Most characters of a document's text, in UTF-16 units; 0 = no bound. */
int64_t       store_page_max(const struct store *s);

/* Never calls back before it has returned. NULL: out of memory, no callback. */
struct store_op *store_write(struct store *s, const struct store_job *job,
                             const struct store_handlers *on, void *arg);
void store_proceed(struct store_op *op);
void store_cancel(struct store_op *op);    /* no callback comes any more */

/* What a store implements: store_folder.c, google/store_google.c. Each op begins with
 * struct store_op, each store with struct store. */
struct store_kind {
    const char *name;
    bool (*chosen)(const struct settings *s);
    enum err_code (*open)(const struct store_deps *d, struct store **out, struct err *e);
    void (*close)(struct store *s);
    struct store_op *(*write)(struct store *s, const struct store_job *job,
                              const struct store_handlers *on, void *arg);
    void (*proceed)(struct store_op *op);
    void (*cancel)(struct store_op *op);
    int64_t (*page_max)(const struct store *s);     /* NULL: no bound */
};
struct store    { const struct store_kind *kind; };
struct store_op { const struct store_kind *kind; };

extern const struct store_kind store_folder, store_google;

#endif
