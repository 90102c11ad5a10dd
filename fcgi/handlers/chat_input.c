#include "fcgi/handlers/chat_input.h"

#include <stdlib.h>
#include <string.h>

#include "fcgi/app.h"

static void make_session(const struct request *r, struct chat_input *in)
{
    session_id_make(r->tenant, in->key, in->session);
    in->session_len = strlen(in->session);
    in->session_made = true;
}

static enum err_code take_session(struct chat_input *in, const char *s, size_t len, struct err *e)
{
    if (session_id_check(s, len, e) != ERR_OK)
        return e->code;
    memcpy(in->session, s, len);
    in->session[len] = '\0';
    in->session_len = len;
    return ERR_OK;
}

static bool is_placeholder(const struct json_text *id)
{
    return id->len == 0 || (id->len == 6 && memcmp(id->s, "string", 6) == 0);
}

static enum err_code read_session(const struct request *r, const struct chat_dialect *d,
                                  const json_t *body, struct chat_input *in, struct err *e)
{
    const struct segment *of_path = &r->segments[d->id_segment];
    struct json_text id;

    if (d->id_segment > 0)
        return take_session(in, of_path->s, of_path->len, e);
    if (json_get_text_opt(body, "session_id", d->placeholder ? 0 : 1, KEYS_SESSION_MAX, &id,
                          e) != ERR_OK)
        return e->code;
    if (id.s && !(d->placeholder && is_placeholder(&id)))
        return take_session(in, id.s, id.len, e);
    make_session(r, in);
    return ERR_OK;
}

static enum err_code read_body(const struct request *r, const struct chat_dialect *d,
                               const json_t *body, struct chat_input *in, struct err *e)
{
    size_t max = (size_t)r->app->settings.server.max_user_text;
    struct json_text text;

    if (read_session(r, d, body, in, e) != ERR_OK ||
        json_get_text(body, d->text_field, 1, max, &text, e) != ERR_OK ||
        json_get_bool_opt(body, "stream", &in->stream, e) != ERR_OK)
        return e->code;
    in->stream = in->stream || d->plain_events || request_accepts_event_stream(r);
    in->text = strndup(text.s, text.len);
    in->text_len = text.len;
    return in->text ? ERR_OK : err_set(e, ERR_INTERNAL, "out of memory");
}

enum err_code chat_input_read(struct request *r, const struct chat_dialect *d,
                              struct chat_input *in, struct err *e)
{
    enum err_code code;
    json_t *body;

    memset(in, 0, sizeof(*in));
    if (request_idempotency_key(r, &in->key, e) != ERR_OK || request_json(r, &body, e) != ERR_OK)
        return e->code;
    code = read_body(r, d, body, in, e);
    json_decref(body);
    if (in->key)
        request_body_hash(r, in->body_hash);
    request_drop_body(r);
    return code;
}
