/* Request lines that callers of older services send, in front of what does the work today:
 *
 *   GET /?username=TR          makes a session; a browser gets the chat page instead
 *   PUT /chat/<id>             {"payload"}: a turn, answered as an event stream of text
 *   GET /chat_history/<id>     the whole dialog, both sides
 *   POST /chat/                {"session_id"?, "message"}: a turn, answered with its session's id */

#include "fcgi/access.h"
#include "fcgi/app.h"
#include "fcgi/handlers/chat.h"
#include "fcgi/handlers/export.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/input.h"
#include "fcgi/handlers/sessions.h"
#include "fcgi/response.h"

enum { ID_SEGMENT = 1 };

/* --- GET / -------------------------------------------------------------------------------- */

static void on_created(void *arg, const char *id, const struct err *e)
{
    struct request *r = arg;

    if (e)
        response_error(r, e);
    else
        sessions_created(r, id, 200);
}

static void make_session(struct request *r)
{
    char username[SESSION_USERNAME_MAX + 1];
    struct session_new n = { .tenant = r->tenant };
    struct err e = ERR_NONE;

    if (input_query(r, "username", username, sizeof(username), &e) == ERR_OK) {
        n.username = *username ? username : NULL;
        if (!session_create(r->app->redis, &r->app->settings, &n, on_created, r))
            err_set(&e, ERR_INTERNAL, "out of memory");
    }
    if (e.code != ERR_OK)
        response_error(r, &e);
}

void handle_home(struct request *r)
{
    response_header(r, "Vary", "Accept");
    if (request_accepts_html(r))
        handle_chat_page(r);
    else if (r->method == METHOD_HEAD)      /* whoever only looks makes nothing */
        response_bytes(r, 200, "application/json", NULL, 0);
    else
        access_check(r, ACCESS_REQUEST, make_session);
}

/* --- turns -------------------------------------------------------------------------------- */

void handle_put_chat(struct request *r)
{
    static const struct chat_dialect dialect = {
        .text_field = "payload",
        .id_segment = ID_SEGMENT,
        .plain_events = true,
    };

    chat_begin(r, &dialect);
}

void handle_post_chat(struct request *r)
{
    static const struct chat_dialect dialect = {
        .text_field = "message",
        .placeholder = true,
        .tell_session = true,
    };

    chat_begin(r, &dialect);
}

/* --- history ------------------------------------------------------------------------------ */

void handle_chat_history(struct request *r)
{
    export_dialog(r, ID_SEGMENT, &dialog_history, false);
}
