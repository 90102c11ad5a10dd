#include "fcgi/handlers/chat_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fcgi/response.h"
#include "lib/base/text.h"

/* A byte becomes at most six ("\u0001"), and the rest of an object is small. */
static void object_init(struct buf *out, size_t text_len)
{
    buf_init(out, 6 * text_len + 4096);
}

static bool event(struct chat_reply *p, const char *name, const struct buf *data)
{
    char id[48];

    snprintf(id, sizeof(id), "%" PRId64 "-%" PRId64, p->turn, ++p->pieces);
    return response_event(p->request, id, name, data->data, data->len);
}

bool chat_reply_delta(struct chat_reply *p, const char *text, size_t len)
{
    struct buf data;
    bool more;

    object_init(&data, len);
    buf_adds(&data, "{\"text\":");
    text_json_string(&data, text, len);
    buf_addc(&data, '}');
    more = event(p, "delta", &data);
    buf_close(&data);
    return more;
}

static void add_usage(struct buf *out, const struct model_usage *u)
{
    if (u->known)
        buf_addf(out, "{\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64
                 ",\"total_tokens\":%" PRId64 "}", u->prompt, u->completion, u->total);
    else
        buf_adds(out, "null");
}

static void end_stream(struct chat_reply *p, const struct chat_end *end)
{
    struct buf data;

    object_init(&data, p->session_len + strlen(end->finish_reason));
    buf_adds(&data, "{\"finish_reason\":");
    text_json_string(&data, end->finish_reason, strlen(end->finish_reason));
    buf_adds(&data, ",\"usage\":");
    add_usage(&data, &end->usage);
    buf_adds(&data, ",\"session_id\":");
    text_json_string(&data, p->session, p->session_len);
    buf_addf(&data, ",\"overhead_ms\":%.1f}", (double)end->overhead_us / 1000);
    event(p, "done", &data);
    buf_close(&data);
    response_end(p->request);
}

static void end_whole(struct chat_reply *p, const struct chat_end *end)
{
    struct buf body;

    object_init(&body, end->len + p->session_len);
    buf_addc(&body, '{');
    if (p->tell_session) {
        buf_adds(&body, "\"session_id\":");
        text_json_string(&body, p->session, p->session_len);
        buf_addc(&body, ',');
    }
    buf_adds(&body, "\"bot_text\":");
    text_json_string(&body, end->text, end->len);
    buf_addc(&body, '}');
    response_overhead(p->request, end->overhead_us);
    response_json(p->request, 200, &body);
    buf_close(&body);
}

void chat_reply_end(struct chat_reply *p, const struct chat_end *end)
{
    if (p->stream)
        end_stream(p, end);
    else
        end_whole(p, end);
}
