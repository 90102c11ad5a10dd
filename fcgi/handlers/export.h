#ifndef CONFAB_EXPORT_H
#define CONFAB_EXPORT_H
/* A whole dialog as a reply, for whoever wants it in a form of their own. */

#include "fcgi/request.h"
#include "lib/chat/dialog_format.h"

/* Sends the dialog of the session in this segment of the path. download: under a file's name. The
 * request is gone afterwards, now or later. */
void export_dialog(struct request *r, size_t segment, const struct dialog_format *format,
                   bool download);

#endif
