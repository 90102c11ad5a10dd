#ifndef CONFAB_DIALOG_READ_H
#define CONFAB_DIALOG_READ_H
/* The dialog of a task as one HTML page: read from Redis a page of turns at a time, each rendered
 * as it comes, so that only the result is ever whole in memory. It is the dialog as it was when
 * the task was accepted, whatever was said since. */

#include "lib/base/buf.h"
#include "lib/chat/session.h"
#include "lib/chat/task.h"
#include "lib/io/loop.h"

/* Why there is no page; the texts are static. */
struct dialog_fault {
    bool        passing;    /* another try may find it otherwise */
    const char *code, *words;
};

struct dialog_read;
/* f NULL: html holds the page. The dialog_read is gone. */
typedef void dialog_read_fn(void *arg, const struct dialog_fault *f);
/* Waits for Redis as long as it takes. t and html are borrowed until the callback, which never
 * comes before the call has returned. NULL: out of memory, no callback. */
struct dialog_read *dialog_read(struct loop *l, struct sessions *s, const struct task *t,
                                struct buf *html, dialog_read_fn *fn, void *arg);
/* No callback comes any more. NULL: nothing. */
void dialog_read_cancel(struct dialog_read *r);

#endif
