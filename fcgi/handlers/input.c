#include "fcgi/handlers/input.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/session.h"

enum { LIMIT_USUAL = 50 };

enum err_code input_session(const struct request *r, size_t segment, struct segment *out,
                            struct err *e)
{
    *out = r->segments[segment];
    return session_id_check(out->s, out->len, e);
}

static enum err_code check(const char *name, const struct buf *value, bool decoded, struct err *e)
{
    if (!buf_ok(value))
        return err_field(e, name, "must have 1 to %zu bytes", value->max);
    if (!decoded)
        return err_field(e, name, "has a broken %%-escape");
    if (value->len == 0)
        return err_field(e, name, "must have 1 to %zu bytes", value->max);
    if (!text_is_utf8(value->data, value->len) || text_has_control(value->data, value->len))
        return err_field(e, name, "must be UTF-8 without control characters");
    return ERR_OK;
}

enum err_code input_query(const struct request *r, const char *name, char *out, size_t size,
                          struct err *e)
{
    struct buf value;
    bool decoded;

    out[0] = '\0';
    if (!request_query_has(r, name))
        return ERR_OK;
    buf_init(&value, size - 1);
    decoded = request_query(r, name, &value);
    if (check(name, &value, decoded, e) == ERR_OK)
        memcpy(out, value.data, value.len + 1);
    buf_close(&value);
    return e->code;
}

enum err_code input_limit(const struct request *r, int64_t max, int64_t *out, struct err *e)
{
    char digits[8];

    *out = LIMIT_USUAL;
    if (input_query(r, "limit", digits, sizeof(digits), e) != ERR_OK || !*digits)
        return e->code;
    *out = atoll(digits);
    if (digits[strspn(digits, "0123456789")] || *out < 1 || *out > max)
        return err_field(e, "limit", "must be a number from 1 to %lld", (long long)max);
    return ERR_OK;
}
