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

/* Line ends of any kind end a line of an event as well, so each line of the text becomes one:
 * the reader puts them together again with '\n' between. A "\r\n" may come in two pieces. */
static bool plain_delta(struct chat_reply *p, const char *text, size_t len)
{
    struct buf lines;
    bool more;

    buf_init(&lines, 8 * len + 64);
    buf_adds(&lines, "data: ");
    for (size_t i = 0; i < len; i++) {
        bool follows_return = i > 0 ? text[i - 1] == '\r' : p->after_return;

        if (text[i] == '\r' || (text[i] == '\n' && !follows_return))
            buf_adds(&lines, "\ndata: ");
        else if (text[i] != '\n')
            buf_addc(&lines, text[i]);
    }
    buf_adds(&lines, "\n\n");
    if (len > 0)
        p->after_return = text[len - 1] == '\r';
    more = response_piece(p->request, lines.data, lines.len);
    buf_close(&lines);
    return more;
}

bool chat_reply_delta(struct chat_reply *p, const char *text, size_t len)
{
    struct buf data;
    bool more;

    if (p->plain_events)
        return plain_delta(p, text, len);
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

/* For those who put all `data:` lines together the end must not hold any text. */
static void end_plain(struct chat_reply *p)
{
    static const char done[] = "event: done\ndata: \n\n";

    response_piece(p->request, done, sizeof(done) - 1);
    response_end(p->request);
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
    if (p->plain_events)
        end_plain(p);
    else if (p->stream)
        end_stream(p, end);
    else
        end_whole(p, end);
}
