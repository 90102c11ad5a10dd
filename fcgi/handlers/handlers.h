#ifndef CONFAB_HANDLERS_H
#define CONFAB_HANDLERS_H
/* One endpoint each; see the table in routes.c. Each ends r's response exactly once, now
 * or later. */

#include "fcgi/request.h"

void handle_chat(struct request *r);            /* chat.c */
void handle_write_to_doc(struct request *r);    /* write_to_doc.c */
void handle_task_status(struct request *r);     /* tasks.c */
void handle_task(struct request *r);
void handle_usage(struct request *r);           /* usage.c */
void handle_health(struct request *r);          /* health.c */
void handle_ready(struct request *r);

#endif
