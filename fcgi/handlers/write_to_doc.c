/* POST /api/v1/write_to_doc: accept a task that writes the session's dialog into a document.
 * 202 means that it will be done, whatever dies meanwhile; so without a Redis that keeps
 * what it acknowledges there is no 202. A client that leaves changes nothing. */

#include <stdio.h>

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/response.h"
#include "lib/base/text.h"
#include "lib/chat/task_accept.h"

static void on_accepted(void *arg, const char *id, const struct err *e)
{
    struct request *r = arg;
    char location[32 + KEYS_TASK_MAX];
    struct buf body;

    if (e) {
        response_error(r, e);
        return;
    }
    snprintf(location, sizeof(location), "/api/v1/status/%s", id);
    response_header(r, "Location", location);
    buf_init(&body, 256);
    buf_addf(&body, "{\"task_id\":\"%s\"}", id);
    response_json(r, 202, &body);
    buf_close(&body);
}

static enum err_code accept_task(struct request *r, const json_t *body, struct err *e)
{
    struct task_request q = { .tenant = r->tenant };
    struct json_text id;
    char hash[65];

    if (json_get_text(body, "session_id", 1, KEYS_SESSION_MAX, &id, e) != ERR_OK ||
        session_id_check(id.s, id.len, e) != ERR_OK ||
        request_idempotency_key(r, &q.idempotency_key, e) != ERR_OK)
        return e->code;
    request_body_hash(r, hash);
    q.session = id.s;
    q.session_len = id.len;
    q.body_hash = q.idempotency_key ? hash : NULL;
    if (!task_accept(r->app->tasks, &q, on_accepted, r))
        return err_set(e, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

void handle_write_to_doc(struct request *r)
{
    struct err e = ERR_NONE;
    json_t *body = NULL;

    if (request_json(r, &body, &e) == ERR_OK) {
        if (!r->app->durable && r->app->settings.redis.durability == DURABILITY_REQUIRE)
            err_set(&e, ERR_STORE, "tasks are not accepted: %s",
                    r->app->durability_problem[0] ? r->app->durability_problem
                                                  : "Redis was not asked yet how it keeps data");
        else
            accept_task(r, body, &e);
    }
    json_decref(body);
    request_drop_body(r);
    if (e.code != ERR_OK)
        response_error(r, &e);
}
