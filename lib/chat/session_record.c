#include "lib/chat/session_record.h"

#include <inttypes.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"

static void add_text(struct buf *out, const char *name, struct redis_arg value)
{
    buf_addf(out, "\"%s\":", name);
    if (value.len > 0)
        text_json_string(out, value.s, value.len);
    else
        buf_adds(out, "null");
}

static void add_time(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];

    add_text(out, name, redis_str(clock_rfc3339(wall_ms, text)));
}

bool session_record_json(struct buf *out, const struct session_record *r)
{
    buf_addc(out, '{');
    add_text(out, "session_id", r->id);
    buf_addc(out, ',');
    add_text(out, "username", r->username);
    buf_addc(out, ',');
    add_text(out, "title", r->title);
    buf_addc(out, ',');
    add_text(out, "prompt", r->prompt);
    buf_addf(out, ",\"turns\":%" PRId64 ",", r->turns);
    add_time(out, "created_at", r->created_at);
    buf_addc(out, ',');
    add_time(out, "updated_at", r->updated_at);
    return buf_addc(out, '}');
}

bool session_record_take(struct session_record *r, const struct redisReply *reply, size_t first)
{
    r->username = redis_reply_text(redis_reply_at(reply, first));
    r->title = redis_reply_text(redis_reply_at(reply, first + 1));
    r->prompt = redis_reply_text(redis_reply_at(reply, first + 2));
    r->turns = redis_reply_int(redis_reply_at(reply, first + 3));
    r->created_at = redis_reply_int(redis_reply_at(reply, first + 4));
    r->updated_at = redis_reply_int(redis_reply_at(reply, first + 5));
    return r->created_at > 0;
}
