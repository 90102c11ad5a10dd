#ifndef CONFAB_DIALOG_READ_H
#define CONFAB_DIALOG_READ_H
/* The dialog of a task as HTML: read from Redis some turns at a time, each rendered as it comes, so
 * that only the result is ever whole in memory. It is the dialog as it was when the task was
 * accepted, whatever was said since, and even if its session was deleted since. */

#include "jobrunner/store.h"
#include "lib/base/buf.h"
#include "lib/chat/session.h"
#include "lib/chat/task.h"
#include "lib/io/loop.h"

/* Why there is no page; the texts are static. */
struct dialog_fault {
    bool        passing;    /* another try may find it otherwise */
    const char *code, *words;
};

/* One page, or several in a row, each whole in itself. A turn is never cut. */
struct dialog_pages {
    struct buf html;                    /* the owner's; made with a maximum */
    int64_t    page_max;                /* characters of a page's turns, in UTF-16 units, tags
                                           not counted; 0 = no bound */
    size_t     ends[STORE_PAGES_MAX];   /* where in html each one ends */
    size_t     count;
};

struct dialog_read;
/* f NULL: pages hold the dialog. The dialog_read is gone. */
typedef void dialog_read_fn(void *arg, const struct dialog_fault *f);
/* begun: what came with the task, borrowed during the call; or NULL. Waits for Redis as long as it
 * takes. t and pages are borrowed until the callback, which never comes before the call has
 * returned. NULL: out of memory, no callback. */
struct dialog_read *dialog_read(struct loop *l, struct sessions *s, const struct task *t,
                                const struct session_page *begun, struct dialog_pages *pages,
                                dialog_read_fn *fn, void *arg);
/* No callback comes any more. NULL: nothing. */
void dialog_read_cancel(struct dialog_read *r);

#endif
