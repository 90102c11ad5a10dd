#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/dialog_format.h"
#include "lib/chat/session_record.h"

bool dialog_message_json(struct buf *out, const struct turn *t, int64_t number,
                         enum dialog_side side)
{
    bool user = side == DIALOG_USER;
    const char *role = user ? "user" : "assistant";
    char time[CLOCK_RFC3339_SIZE];

    buf_addf(out, "{\"id\":\"%" PRId64 "-%s\",\"role\":\"%s\",\"content\":", number, role, role);
    if (user)
        text_json_string(out, t->user, t->user_len);
    else
        text_json_string(out, t->bot, t->bot_len);
    clock_rfc3339(user ? t->asked_at : t->answered_at, time);
    buf_addf(out, ",\"created_at\":\"%s\"", time);
    if (!user && t->interrupted)
        buf_adds(out, ",\"interrupted\":true");
    return buf_addc(out, '}');
}

static bool begin(struct buf *out, const struct dialog_facts *f)
{
    buf_adds(out, "{\"session\":");
    session_record_json(out, f->session);
    return buf_adds(out, ",\"messages\":[");
}

static bool turn(struct buf *out, const struct turn *t, int64_t number)
{
    buf_adds(out, number > 1 ? ",\n" : "\n");
    dialog_message_json(out, t, number, DIALOG_USER);
    buf_adds(out, ",\n");
    return dialog_message_json(out, t, number, DIALOG_ASSISTANT);
}

static bool end(struct buf *out)
{
    return buf_adds(out, "\n],\"complete\":true}\n");
}

static bool broken(struct buf *out, const char *why)
{
    buf_adds(out, "\n],\"complete\":false,\"problem\":");
    text_json_string(out, why, strlen(why));
    return buf_adds(out, "}\n");
}

const struct dialog_format dialog_json = {
    .name = "json",
    .content_type = "application/json",
    .begin = begin,
    .turn = turn,
    .end = end,
    .broken = broken,
};

static bool history_begin(struct buf *out, const struct dialog_facts *f)
{
    (void)f;
    return buf_adds(out, "{\"items\":[");
}

static bool history_end(struct buf *out)
{
    return buf_adds(out, "\n],\"next_cursor\":null}\n");
}

const struct dialog_format dialog_history = {
    .name = "json",
    .content_type = "application/json",
    .begin = history_begin,
    .turn = turn,
    .end = history_end,
    .broken = broken,
};
