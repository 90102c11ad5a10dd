/* What clients do with tasks:
 *
 *   GET    /api/v1/status/<task_id>        how far it is
 *   GET    /api/v1/tasks/<task_id>         its record
 *   POST   /api/v1/tasks/<task_id>/retry   a failed one is tried again
 *   DELETE /api/v1/tasks/<task_id>         cancels one that waits, forgets one that has ended */

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/output.h"
#include "fcgi/response.h"
#include "lib/chat/task_admin.h"

enum { RECORD_MAX = 16384, TASK_ID_SEGMENT = 3 };

/* The call was begun, or cannot be. */
static void begun(struct request *r, const struct task_call *c)
{
    if (!c)
        output_no_memory(r);
}

/* The id in the path; NULL: none, and the request is answered. */
static const char *id_of(struct request *r)
{
    const struct segment *id = &r->segments[TASK_ID_SEGMENT];
    struct err e = ERR_NONE;

    if (task_id_ok(id->s, id->len))
        return id->s;
    err_set(&e, ERR_NO_TASK, "no task has such an id");
    response_error(r, &e);
    return NULL;
}

/* --- one --- */

static void on_status(void *arg, const struct task *t, const struct err *e)
{
    struct request *r = arg;
    struct buf body;

    if (e) {
        response_error(r, e);
        return;
    }
    buf_init(&body, 64);
    buf_addf(&body, "{\"status\":\"%s\"}", task_status_name(t->status));
    response_json(r, 200, &body);
    buf_close(&body);
}

void handle_task_status(struct request *r)
{
    const char *id = id_of(r);

    if (id)
        begun(r, task_find(r->app->redis, r->tenant, id, on_status, r));
}

static void on_record(void *arg, const struct task *t, const struct err *e)
{
    struct request *r = arg;
    struct buf body;

    if (e) {
        response_error(r, e);
        return;
    }
    buf_init(&body, RECORD_MAX);
    task_json(&body, t, r->app->settings.tasks.doc_folder);
    response_json(r, 200, &body);
    buf_close(&body);
}

void handle_task(struct request *r)
{
    const char *id = id_of(r);

    if (id)
        begun(r, task_find(r->app->redis, r->tenant, id, on_record, r));
}

/* --- changed --- */

/* The record as it is now, which somebody may have changed again. */
static void on_retried(void *arg, const struct err *e)
{
    struct request *r = arg;

    if (e)
        response_error(r, e);
    else
        handle_task(r);
}

void handle_task_retry(struct request *r)
{
    const char *id;

    request_drop_body(r);
    id = id_of(r);
    if (id)
        begun(r, task_retry(r->app->redis, r->tenant, id, on_retried, r));
}

void handle_task_delete(struct request *r)
{
    const char *id = id_of(r);

    if (id)
        begun(r, task_remove(r->app->redis, &r->app->settings, r->tenant, id,
                             TASK_CANCEL_OR_DELETE, output_done, r));
}
