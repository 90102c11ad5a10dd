#include "jobrunner/google/exchange.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/failpoint.h"

enum { ANSWER_MAX = 256 * 1024, HEADER_MAX = 4096, RETRY_AFTER_MAX = 24 * 60 * 60 };

struct exchange {
    struct http_call *call;         /* ours until its on_done */
    exchange_fn      *fn;
    void             *arg;
    struct buf        body, location, range;
    int               retry_after;
    const char       *kind;         /* of request, static */
};

static void exchange_free(struct exchange *x)
{
    buf_close(&x->body);
    buf_close(&x->location);
    buf_close(&x->range);
    free(x);
}

int exchange_retry_after(const char *value, int64_t now)
{
    struct tm date;
    int64_t seconds;

    memset(&date, 0, sizeof(date));
    if (isdigit((unsigned char)*value))
        seconds = strtoll(value, NULL, 10);
    else if (strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &date))
        seconds = (int64_t)timegm(&date) - now;
    else
        return 0;
    return seconds < 0 ? 0 : seconds > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (int)seconds;
}

static void on_header(void *arg, const char *name, const char *value)
{
    struct exchange *x = arg;

    if (strcmp(name, "retry-after") == 0)
        x->retry_after = exchange_retry_after(value, clock_wall_ms() / 1000);
    else if (strcmp(name, "location") == 0)
        buf_clear(&x->location), buf_adds(&x->location, value);
    else if (strcmp(name, "range") == 0)
        buf_clear(&x->range), buf_adds(&x->range, value);
}

static bool on_body(void *arg, const char *bytes, size_t len)
{
    struct exchange *x = arg;

    return buf_add(&x->body, bytes, len);
}

/* For failpoints: "POST files", "PATCH upload", "POST token". */
static const char *kind_of(const struct http_request *q)
{
    static const char *const kinds[] = {
        "POST upload", "PATCH upload", "PUT upload", "POST files", "PATCH files", "GET files",
        "POST token",
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t method = strlen(q->method);

        if (strncmp(kinds[i], q->method, method) == 0 && kinds[i][method] == ' ' &&
            strstr(q->url, kinds[i] + method + 1))
            return kinds[i];
    }
    return "other";
}

static void on_done(void *arg, int status, const struct err *e)
{
    struct exchange *x = arg;
    struct err dropped = ERR_NONE;
    struct exchange_reply r = {
        .fault = e, .status = status,
        .body = x->body.data, .body_len = x->body.len,
        .retry_after = x->retry_after,
        .location = x->location.data, .range = x->range.data,
    };

    x->call = NULL;
    if (FAILPOINT("google.answer", x->kind)) {
        err_set(&dropped, ERR_UPSTREAM, "the answer was dropped");
        r = (struct exchange_reply){ .fault = &dropped, .body = "", .location = "", .range = "" };
    }
    x->fn(x->arg, &r);
    exchange_free(x);
}

struct exchange *exchange_send(struct http *h, const struct http_request *q, exchange_fn *fn,
                               void *arg)
{
    static const struct http_handlers handlers = {
        .on_header = on_header, .on_body = on_body, .on_done = on_done,
    };
    struct exchange *x = calloc(1, sizeof(*x));

    if (!x) {
        free(q->body);
        return NULL;
    }
    x->fn = fn;
    x->arg = arg;
    buf_init(&x->body, ANSWER_MAX);
    buf_init(&x->location, HEADER_MAX);
    buf_init(&x->range, HEADER_MAX);
    x->kind = kind_of(q);
    (void)FAILPOINT("google.send", x->kind);
    x->call = http_send(h, q, &handlers, x);
    if (!x->call) {
        exchange_free(x);
        return NULL;
    }
    return x;
}

void exchange_cancel(struct exchange *x)
{
    if (!x)
        return;
    http_cancel(x->call);
    exchange_free(x);
}
