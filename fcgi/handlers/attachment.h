#ifndef CONFAB_ATTACHMENT_H
#define CONFAB_ATTACHMENT_H
/* Names for what is downloaded. */

#include "lib/base/buf.h"

/* The value of Content-Disposition for a file that is called after a session: `filename` in ASCII
 * for old clients, `filename*` in full (RFC 6266, RFC 8187). No id makes it leave the folder of
 * downloads, hide itself, or show another extension than it has. id is UTF-8. */
bool attachment_disposition(struct buf *out, const char *id, size_t len, const char *extension);

#endif
