#include "fcgi/handlers/chat_input.h"

#include <stdlib.h>
#include <string.h>

#include "fcgi/app.h"

static enum err_code read_session(const struct request *r, const json_t *body,
                                  struct chat_input *in, struct err *e)
{
    struct json_text id;

    if (json_get_text_opt(body, "session_id", 1, KEYS_SESSION_MAX, &id, e) != ERR_OK)
        return e->code;
    if (!id.s) {
        session_id_make(r->tenant, in->key, in->session);
        in->session_len = strlen(in->session);
        in->session_made = true;
        return ERR_OK;
    }
    if (session_id_check(id.s, id.len, e) != ERR_OK)
        return e->code;
    memcpy(in->session, id.s, id.len + 1);
    in->session_len = id.len;
    return ERR_OK;
}

static enum err_code read_body(const struct request *r, const json_t *body,
                               struct chat_input *in, struct err *e)
{
    size_t max = (size_t)r->app->settings.server.max_user_text;
    struct json_text text;

    if (read_session(r, body, in, e) != ERR_OK ||
        json_get_text(body, "user_text", 1, max, &text, e) != ERR_OK ||
        json_get_bool_opt(body, "stream", &in->stream, e) != ERR_OK)
        return e->code;
    in->stream = in->stream || request_accepts_event_stream(r);
    in->text = strndup(text.s, text.len);
    in->text_len = text.len;
    return in->text ? ERR_OK : err_set(e, ERR_INTERNAL, "out of memory");
}

enum err_code chat_input_read(struct request *r, struct chat_input *in, struct err *e)
{
    enum err_code code;
    json_t *body;

    memset(in, 0, sizeof(*in));
    if (request_idempotency_key(r, &in->key, e) != ERR_OK || request_json(r, &body, e) != ERR_OK)
        return e->code;
    code = read_body(r, body, in, e);
    json_decref(body);
    if (in->key)
        request_body_hash(r, in->body_hash);
    request_drop_body(r);
    return code;
}
