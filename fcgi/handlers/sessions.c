/* POST /api/v1/sessions: a session before its first turn.
 * GET, PATCH, DELETE /api/v1/sessions/<id>: its record, another title, forget it. */

#include "fcgi/handlers/sessions.h"

#include <string.h>

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/input.h"
#include "fcgi/handlers/output.h"
#include "fcgi/response.h"
#include "lib/base/text.h"

enum { RECORD_MAX = 16384, SESSION_SEGMENT = 3 };

/* --- made -------------------------------------------------------------------------------- */

void sessions_created(struct request *r, const char *id, int status)
{
    struct buf body;

    response_header(r, "X-Session-Id", id);
    buf_init(&body, RECORD_MAX);
    buf_adds(&body, "{\"session_id\":");
    text_json_string(&body, id, strlen(id));
    buf_addc(&body, '}');
    response_json(r, status, &body);
    buf_close(&body);
}

static void on_created(void *arg, const char *id, const struct err *e)
{
    struct request *r = arg;
    struct buf location;

    if (e) {
        response_error(r, e);
        return;
    }
    buf_init(&location, RECORD_MAX);
    buf_adds(&location, "/api/v1/sessions/");
    text_percent_encode(id, strlen(id), &location);
    response_header(r, "Location", location.data);
    buf_close(&location);
    sessions_created(r, id, 201);
}

static enum err_code read_label(const json_t *body, const char *field, size_t max,
                                const char **out, struct err *e)
{
    struct json_text text;

    if (json_get_text_opt(body, field, 1, max, &text, e) != ERR_OK)
        return e->code;
    *out = text.s;
    return text.s ? session_label_check(field, text.s, text.len, max, e) : ERR_OK;
}

static enum err_code read_prompt(const struct request *r, const json_t *body, const char **out,
                                 struct err *e)
{
    const struct prompts *prompts = r->app->prompts;

    if (read_label(body, "prompt", SESSION_USERNAME_MAX, out, e) != ERR_OK || !*out)
        return e->code;
    return prompts_get(prompts, *out)
         ? ERR_OK : err_field(e, "prompt", "there are: %s", prompts_names(prompts));
}

static enum err_code create(struct request *r, const json_t *body, struct err *e)
{
    struct session_new n = { .tenant = r->tenant };
    char hash[65];

    if (read_label(body, "username", SESSION_USERNAME_MAX, &n.username, e) != ERR_OK ||
        read_label(body, "title", SESSION_TITLE_MAX, &n.title, e) != ERR_OK ||
        read_prompt(r, body, &n.prompt, e) != ERR_OK ||
        request_idempotency_key(r, &n.idempotency_key, e) != ERR_OK)
        return e->code;
    request_body_hash(r, hash);
    n.body_hash = n.idempotency_key ? hash : NULL;
    if (!session_create(r->app->redis, &r->app->settings, &n, on_created, r))
        return err_set(e, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

void handle_session_create(struct request *r)
{
    struct err e = ERR_NONE;
    json_t *body = NULL;

    if (request_json(r, &body, &e) == ERR_OK)
        create(r, body, &e);
    json_decref(body);
    request_drop_body(r);
    if (e.code != ERR_OK)
        response_error(r, &e);
}

/* --- found, named ------------------------------------------------------------------------ */

static void on_record(void *arg, const struct session_record *record, const struct err *e)
{
    struct request *r = arg;
    struct buf body;

    if (e) {
        response_error(r, e);
        return;
    }
    buf_init(&body, RECORD_MAX);
    session_record_json(&body, record);
    response_json(r, 200, &body);
    buf_close(&body);
}

void handle_session(struct request *r)
{
    struct err e = ERR_NONE;
    struct segment id;

    if (input_session(r, SESSION_SEGMENT, &id, &e) != ERR_OK)
        response_error(r, &e);
    else if (!session_find(r->app->redis, r->tenant, id.s, id.len, on_record, r))
        output_no_memory(r);
}

/* null takes the title away; without the field there is nothing to do, and no telling what
 * was meant. */
static enum err_code read_title(const json_t *body, const char **out, struct err *e)
{
    if (!json_object_get(body, "title"))
        return err_field(e, "title", "is missing");
    return read_label(body, "title", SESSION_TITLE_MAX, out, e);
}

static enum err_code rename_session(struct request *r, const json_t *body, struct err *e)
{
    const char *title = NULL;
    struct segment id;

    if (input_session(r, SESSION_SEGMENT, &id, e) != ERR_OK || read_title(body, &title, e) != ERR_OK)
        return e->code;
    if (!session_rename(r->app->redis, r->tenant, id.s, id.len, title ? title : "", on_record, r))
        return err_set(e, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

void handle_session_rename(struct request *r)
{
    struct err e = ERR_NONE;
    json_t *body = NULL;

    if (request_json(r, &body, &e) == ERR_OK)
        rename_session(r, body, &e);
    json_decref(body);
    request_drop_body(r);
    if (e.code != ERR_OK)
        response_error(r, &e);
}

/* --- forgotten --------------------------------------------------------------------------- */

void handle_session_forget(struct request *r)
{
    struct err e = ERR_NONE;
    struct segment id;

    if (input_session(r, SESSION_SEGMENT, &id, &e) != ERR_OK)
        response_error(r, &e);
    else if (!session_forget(r->app->redis, &r->app->settings, r->tenant, id.s, id.len,
                             output_done, r))
        output_no_memory(r);
}
