#ifndef CONFAB_TASK_ADMIN_H
#define CONFAB_TASK_ADMIN_H
/* What people do with tasks: list them, try failed ones again, take them away. */

#include "lib/chat/task.h"

enum { TASK_PAGE_MAX = 200, TASK_CURSOR_SIZE = 100 };

struct task_query {
    const char *tenant;
    int         status;                         /* enum task_status, or -1: any */
    const char *session; size_t session_len;    /* NULL: of any session */
    const char *cursor;                         /* what `next` said, "" = begin */
    int64_t     limit;                          /* 1 to TASK_PAGE_MAX */
};
/* tasks: newest first, borrowed. next: "" when these are the last. A page may be short, even
 * empty, while there are more: one call looks at a bounded number of tasks. e: ERR_NO_SESSION. */
typedef void task_listed_fn(void *arg, const struct task *tasks, size_t count, const char *next,
                            const struct err *e);
struct task_call *task_list(struct redis *r, const struct task_query *q, task_listed_fn *fn,
                            void *arg);
/* What a client sent back as a cursor is one, and of this list: it differs with what is listed. */
bool task_cursor_ok(const struct task_query *q);

/* tenant: "" = whosever the task is. e NULL: done. ERR_NO_TASK, ERR_SESSION_GONE,
 * ERR_TASK_STATE: its status does not allow that. */
typedef void task_changed_fn(void *arg, const struct err *e);
/* A failed task becomes pending, as if it had never been tried, but keeps its document. */
struct task_call *task_retry(struct redis *r, const char *tenant, const char *id,
                             task_changed_fn *fn, void *arg);
/* One that waits is cancelled: failed with the code "cancelled", and the record expires as a
 * finished one does. Of one that has ended the record goes; its document stays. One that runs is
 * left alone. */
enum task_removal { TASK_CANCEL = 1, TASK_DELETE = 2, TASK_CANCEL_OR_DELETE = 3 };
struct task_call *task_remove(struct redis *r, const struct settings *s, const char *tenant,
                              const char *id, enum task_removal what, task_changed_fn *fn,
                              void *arg);

#endif
