#ifndef CONFAB_HANDLERS_H
#define CONFAB_HANDLERS_H
/* One endpoint each; see the table in routes.c. Each ends r's response exactly once, now
 * or later. */

#include "fcgi/request.h"

void handle_chat(struct request *r);            /* chat.c */
void handle_write_to_doc(struct request *r);    /* write_to_doc.c */
void handle_task_status(struct request *r);     /* tasks.c */
void handle_task(struct request *r);
void handle_task_retry(struct request *r);
void handle_task_delete(struct request *r);
void handle_tasks(struct request *r);            /* tasks_list.c */
void handle_usage(struct request *r);           /* usage.c */
void handle_session_create(struct request *r);  /* sessions.c */
void handle_session(struct request *r);
void handle_session_rename(struct request *r);
void handle_session_forget(struct request *r);
void handle_sessions(struct request *r);        /* sessions_list.c */
void handle_messages(struct request *r);        /* messages.c */
void handle_export(struct request *r);          /* export.c */
void handle_home(struct request *r);            /* older.c, this and the next three */
void handle_post_chat(struct request *r);
void handle_put_chat(struct request *r);
void handle_chat_history(struct request *r);
void handle_chat_page(struct request *r);       /* pages.c */
void handle_docs(struct request *r);
void handle_openapi(struct request *r);
void handle_health(struct request *r);          /* health.c */
void handle_ready(struct request *r);
void handle_pool_status(struct request *r);     /* pool_status.c */
void handle_metrics(struct request *r);         /* metrics.c */

#endif
