#ifndef CONFAB_GOOGLE_UPLOAD_H
#define CONFAB_GOOGLE_UPLOAD_H
/* Fills a document with a dialog: in one request up to DRIVE_SIMPLE_MAX, above that by a
 * resumable upload, which after a cut asks what has arrived and sends the rest. The whole content
 * is replaced, so it can be repeated from the start as well. */

#include "jobrunner/google/call.h"

struct google_upload;
/* id and html are borrowed until the end. on_ready comes before every request. on_done's result is
 * that of the last request; json holds the document's id and parents. NULL: out of memory, no
 * callback. */
struct google_upload *google_upload(const struct google *g, const char *id, const char *html,
                                    size_t len, const struct google_handlers *on, void *arg);
void google_upload_proceed(struct google_upload *u);
void google_upload_cancel(struct google_upload *u);     /* NULL: nothing */

#endif
