/* GET /api/v1/tasks?status=&session_id=&limit=&cursor=: a page of tasks' records, newest first. */

#include <string.h>

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/input.h"
#include "fcgi/handlers/output.h"
#include "fcgi/response.h"
#include "lib/chat/session.h"
#include "lib/chat/task_admin.h"

/* A record's texts have up to 1 KB, and may grow sixfold in JSON. */
enum { PAGE_MAX = TASK_PAGE_MAX * 8 * 1024 };

static void on_listed(void *arg, const struct task *tasks, size_t count, const char *next,
                      const struct err *e)
{
    struct request *r = arg;
    struct buf body;

    if (e) {
        response_error(r, e);
        return;
    }
    buf_init(&body, PAGE_MAX);
    buf_adds(&body, "{\"items\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_addc(&body, ',');
        task_json(&body, &tasks[i], r->app->settings.tasks.doc_folder);
    }
    output_list_end(&body, next);
    response_json(r, 200, &body);
    buf_close(&body);
}

static enum err_code status_of(const char *name, int *status, struct err *e)
{
    *status = -1;
    if (!*name)
        return ERR_OK;
    for (int s = TASK_PENDING; s <= TASK_FAILED; s++)
        if (strcmp(name, task_status_name((enum task_status)s)) == 0)
            *status = s;
    return *status >= 0 ? ERR_OK
                        : err_field(e, "status", "must be pending, running, finished or failed");
}

struct params { char status[16], session[KEYS_SESSION_MAX + 1], cursor[TASK_CURSOR_SIZE]; };

static enum err_code take(const struct request *r, struct params *p, struct task_query *q,
                          struct err *e)
{
    if (input_query(r, "status", p->status, sizeof(p->status), e) != ERR_OK ||
        input_query(r, "session_id", p->session, sizeof(p->session), e) != ERR_OK ||
        input_query(r, "cursor", p->cursor, sizeof(p->cursor), e) != ERR_OK ||
        input_limit(r, TASK_PAGE_MAX, &q->limit, e) != ERR_OK ||
        status_of(p->status, &q->status, e) != ERR_OK)
        return e->code;
    q->cursor = p->cursor;
    if (*p->session) {
        q->session = p->session;
        q->session_len = strlen(p->session);
        if (session_id_check(q->session, q->session_len, e) != ERR_OK)
            return e->code;
    }
    if (*p->cursor && !task_cursor_ok(q))
        return err_field(e, "cursor", "is none that was given out for this list");
    return ERR_OK;
}

void handle_tasks(struct request *r)
{
    struct task_query q = { .tenant = r->tenant };
    struct err e = ERR_NONE;
    struct params p;

    if (take(r, &p, &q, &e) == ERR_OK && !task_list(r->app->redis, &q, on_listed, r))
        err_set(&e, ERR_INTERNAL, "out of memory");
    if (e.code != ERR_OK)
        response_error(r, &e);
}
