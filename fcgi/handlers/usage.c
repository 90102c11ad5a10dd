/* GET /api/v1/usage?days=7: what the keys of the caller's tenant have used, a day and key each. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/output.h"
#include "fcgi/response.h"
#include "lib/base/text.h"

enum { BODY_MAX = 16 << 20, QUERY_MAX = 32 << 10, DAYS_DEFAULT = 7 };

static void add_row(struct buf *out, const struct quota_usage *u)
{
    buf_addf(out, "{\"day\":\"%s\",\"key_id\":\"%s\",\"name\":", u->day, u->id);
    text_json_string(out, u->name, text_utf8_prefix(u->name, strlen(u->name)));
    buf_addf(out, ",\"requests\":%" PRId64 ",\"refused\":%" PRId64 ",\"turns\":%" PRId64
             ",\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64
             ",\"total_tokens\":%" PRId64 ",\"reserved_tokens\":%" PRId64 "}",
             u->requests, u->refused, u->turns, u->prompt, u->completion, u->total, u->reserved);
}

static void on_usage(void *arg, const struct quota_usage *rows, size_t count, const struct err *e)
{
    struct request *r = arg;
    struct buf body;

    if (e) {
        response_error(r, e);
        return;
    }
    buf_init(&body, BODY_MAX);
    buf_adds(&body, "{\"items\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_addc(&body, ',');
        add_row(&body, &rows[i]);
    }
    output_list_end(&body, NULL);
    response_json(r, 200, &body);
    buf_close(&body);
}

static enum err_code read_days(const struct request *r, int64_t *days, struct err *e)
{
    struct buf value;
    char *end;

    *days = DAYS_DEFAULT;
    buf_init(&value, QUERY_MAX);
    if (request_query(r, "days", &value)) {
        *days = strtoll(value.data, &end, 10);
        if (value.len == 0 || *end || *days < 1 || *days > QUOTA_DAYS_MAX)
            err_field(e, "days", "has to be a number from 1 to %d", QUOTA_DAYS_MAX);
    }
    buf_close(&value);
    return e->code;
}

void handle_usage(struct request *r)
{
    struct err e = ERR_NONE;
    int64_t days;

    if (read_days(r, &days, &e) == ERR_OK &&
        !quota_read(r->app->redis, r->tenant, days, on_usage, r))
        err_set(&e, ERR_INTERNAL, "reading what was used: out of memory");
    if (e.code != ERR_OK)
        response_error(r, &e);
}
