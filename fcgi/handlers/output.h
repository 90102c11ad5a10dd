#ifndef CONFAB_OUTPUT_H
#define CONFAB_OUTPUT_H
/* What several routes answer in the same form; input.h is what they take. */

#include "fcgi/request.h"
#include "lib/base/buf.h"

/* Ends the object of a list, after its last item. next: NULL or "" on the last page. */
void output_list_end(struct buf *body, const char *next);
/* The reply to what changes something and returns nothing: 204, or the error. arg: the request. */
void output_done(void *arg, const struct err *e);
/* The reply when a call could not be begun. */
void output_no_memory(struct request *r);

#endif
