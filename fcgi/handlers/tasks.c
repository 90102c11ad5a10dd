/* GET /api/v1/status/<task_id>: how far a task is; GET /api/v1/tasks/<task_id>: its record. */

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/response.h"
#include "lib/chat/task.h"

enum { RECORD_MAX = 16384, TASK_ID_SEGMENT = 3 };

static void find(struct request *r, task_found_fn *on_found)
{
    const struct segment *id = &r->segments[TASK_ID_SEGMENT];
    struct err e = ERR_NONE;

    if (!task_id_ok(id->s, id->len))
        err_set(&e, ERR_NO_TASK, "no task has such an id");
    else if (!task_find(r->app->redis, r->tenant, id->s, on_found, r))
        err_set(&e, ERR_INTERNAL, "looking the task up: out of memory");
    if (e.code != ERR_OK)
        response_error(r, &e);
}

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
    find(r, on_status);
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
    find(r, on_record);
}
