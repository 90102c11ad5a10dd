#include "fcgi/response.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fcgi/app.h"
#include "fcgi/conn.h"
#include "fcgi/cors.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/io/pool.h"

enum { HEAD_MAX = 16384, HEAD_USUAL = 500, PROBLEM_MAX = 16384 };

static const char *reason(int status)
{
    static const struct { int status; const char *words; } reasons[] = {
        { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
        { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
        { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 409, "Conflict" },
        { 413, "Content Too Large" }, { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" }, { 429, "Too Many Requests" },
        { 500, "Internal Server Error" }, { 502, "Bad Gateway" },
        { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].words;
    return "Unknown";
}

static size_t without_controls(const char *s)
{
    const char *at = s;

    while ((unsigned char)*at >= ' ' && *at != 0x7f)
        at++;
    return (size_t)(at - s);
}

static void header_add(struct buf *out, const char *name, const char *value)
{
    buf_adds(out, name);
    buf_adds(out, ": ");
    for (size_t clean; *value; value += clean + (value[clean] != '\0')) {
        clean = without_controls(value);
        buf_add(out, value, clean);
    }
    buf_adds(out, "\r\n");
}

void response_header(struct request *r, const char *name, const char *value)
{
    header_add(&r->reply.headers, name, value);
}

void response_overhead(struct request *r, int64_t overhead_us)
{
    r->reply.overhead_us = overhead_us;
}

/* Everything above the body. */
static void head_build(struct buf *out, struct request *r, int status, const char *content_type)
{
    buf_init(out, HEAD_MAX);
    buf_reserve(out, HEAD_USUAL);
    buf_addf(out, "Status: %d %s\r\n", status, reason(status));
    if (content_type)
        header_add(out, "Content-Type", content_type);
    buf_adds(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    header_add(out, "X-Request-Id", r->id);
    cors_headers(out, r);
    buf_add(out, r->reply.headers.data, r->reply.headers.len);
    buf_close(&r->reply.headers);
}

static enum log_level level_of(enum err_code code)
{
    if (code == ERR_INTERNAL)
        return LOG_LEVEL_ERROR;
    return err_status(code) >= 500 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
}

/* "12.3": floating point would cost as much as all else in its line. */
struct ms { char text[24]; };
static struct ms ms_of(int64_t us)
{
    int64_t tenths = (us + 50) / 100;
    struct ms ms;

    snprintf(ms.text, sizeof(ms.text), "%" PRId64 ".%d", tenths / 10, (int)(tenths % 10));
    return ms;
}

/* The one line a request leaves in the log, and the scoreboard's counters. */
static void account(struct request *r, int status, const struct err *e)
{
    const char *route = r->route ? r->route : "none", *method = request_method_name(r->method);
    struct ms ms = ms_of(clock_us() - r->started_us);
    const char *left = conn_gone(r->conn) ? " left=yes" : "";
    struct pool_slot *slot = r->app->pool ? pool_mine(r->app->pool) : NULL;

    if (e)
        log_line(level_of(e->code), &r->log,
                 "request method=%s route=%s status=%d ms=%s bytes=%" PRIu64 "%s code=%s "
                 "detail=\"%s\"", method, route, status, ms.text, r->reply.bytes, left,
                 err_name(e->code), e->detail);
    else
        log_line(r->routine && status < 400 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, &r->log,
                 "request method=%s route=%s status=%d ms=%s bytes=%" PRIu64 "%s", method, route,
                 status, ms.text, r->reply.bytes, left);
    if (!slot)
        return;
    slot->counts.requests++;
    slot->counts.errors += e && err_status(e->code) >= 500;
    slot->streams -= r->reply.phase != REPLY_NONE;
}

static void reply(struct request *r, int status, const char *content_type, const char *bytes,
                  size_t len, const struct err *e)
{
    int64_t overhead = r->reply.overhead_us;
    struct conn_part parts[2];
    struct buf head;

    if (overhead < 0)
        overhead = clock_us() - r->started_us;
    head_build(&head, r, status, content_type);
    buf_addf(&head, "X-Confab-Overhead-Ms: %s\r\n", ms_of(overhead).text);
    if (content_type)
        buf_addf(&head, "Content-Length: %zu\r\n", len);
    buf_adds(&head, "\r\n");
    if (r->method == METHOD_HEAD)
        len = 0;
    parts[0] = (struct conn_part){ head.data, head.len };
    parts[1] = (struct conn_part){ bytes, len };
    r->reply.bytes = len;
    account(r, status, e);
    conn_send(r->conn, parts, 2, true);
    buf_close(&head);
}

void response_bytes(struct request *r, int status, const char *content_type, const char *bytes,
                    size_t len)
{
    reply(r, status, content_type, bytes, len, NULL);
}

void response_json(struct request *r, int status, const struct buf *body)
{
    struct err e = ERR_NONE;

    if (buf_ok(body)) {
        reply(r, status, "application/json", body->data, body->len, NULL);
        return;
    }
    err_set(&e, ERR_INTERNAL, "the reply could not be built");
    response_error(r, &e);
}

static void member(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, ",\"%s\":", name);
    text_json_string(out, value, text_utf8_prefix(value, strlen(value)));
}

bool response_problem(struct buf *out, const struct request *r, const struct err *e)
{
    buf_addf(out, "{\"type\":\"/docs#%s\"", err_name(e->code));
    member(out, "title", err_title(e->code));
    buf_addf(out, ",\"status\":%d", err_status(e->code));
    member(out, "detail", err_public_detail(e));
    member(out, "code", err_name(e->code));
    member(out, "request_id", r->id);
    if (e->field[0])
        member(out, "field", e->field);
    return buf_addc(out, '}');
}

/* Seconds after which a repeat makes sense, when the fault itself did not say. 0: no hint. */
static int retry_after(const struct err *e)
{
    switch (e->code) {
    case ERR_LOCKED: case ERR_LIMITED: case ERR_NOT_SAVED: case ERR_STORE: case ERR_POOL_BUSY:
    case ERR_UPSTREAM_BUSY:
        return e->retry_after > 0 ? e->retry_after : 1;
    default:
        return e->retry_after;
    }
}

static void headers_of(struct request *r, const struct err *e)
{
    char seconds[16];

    if (retry_after(e) > 0) {
        snprintf(seconds, sizeof(seconds), "%d", retry_after(e));
        response_header(r, "Retry-After", seconds);
    }
    if (e->code == ERR_UNAUTHORIZED)
        response_header(r, "WWW-Authenticate", "Bearer realm=\"confab\"");
}

static const char event_stream[] = "text/event-stream";

void response_error(struct request *r, const struct err *e)
{
    struct buf problem;

    buf_init(&problem, PROBLEM_MAX);
    response_problem(&problem, r, e);
    if (r->reply.phase == REPLY_STREAMING) {
        if (r->reply.content_type == event_stream)
            response_event(r, NULL, "error", problem.data, problem.len);
        account(r, 200, e);
        conn_send(r->conn, NULL, 0, true);
    } else {
        headers_of(r, e);
        reply(r, err_status(e->code), "application/problem+json", problem.data, problem.len, e);
    }
    buf_close(&problem);
}

void response_begin(struct request *r, const char *content_type)
{
    r->reply.phase = REPLY_STREAM;
    r->reply.content_type = content_type;
    if (r->app->pool)
        pool_mine(r->app->pool)->streams++;
}

void response_stream_begin(struct request *r)
{
    response_begin(r, event_stream);
}

bool response_streaming(const struct request *r)
{
    return r->reply.phase == REPLY_STREAMING;
}

/* A piece of the stream, with the head before the first one. Returns the bytes that wait. */
static size_t stream_send(struct request *r, const struct conn_part *parts, size_t count)
{
    struct conn_part all[5];
    struct buf head;
    size_t n = 0, waiting;

    buf_init(&head, 0);
    if (r->reply.phase == REPLY_STREAM) {
        head_build(&head, r, 200, r->reply.content_type);
        buf_adds(&head, "X-Accel-Buffering: no\r\n\r\n");
        all[n++] = (struct conn_part){ head.data, head.len };
        r->reply.phase = REPLY_STREAMING;
    }
    for (size_t i = 0; i < count && r->method != METHOD_HEAD; i++) {
        r->reply.bytes += parts[i].len;
        all[n++] = parts[i];
    }
    waiting = conn_send(r->conn, all, n, false);
    buf_close(&head);
    return waiting;
}

/* The same, and whether the reader keeps up. */
static bool stream_follow(struct request *r, const struct conn_part *parts, size_t count)
{
    if (stream_send(r, parts, count) <= (size_t)r->app->settings.server.max_unsent / 2)
        return true;
    conn_lags(r->conn);
    return false;
}

bool response_piece(struct request *r, const char *bytes, size_t len)
{
    struct conn_part piece = { bytes, len };

    return stream_follow(r, &piece, 1);
}

bool response_event(struct request *r, const char *id, const char *name, const char *data,
                    size_t len)
{
    struct conn_part parts[3];
    char start[160];
    int n = id ? snprintf(start, sizeof(start), "id: %s\nevent: %s\ndata: ", id, name)
               : snprintf(start, sizeof(start), "event: %s\ndata: ", name);

    parts[0] = (struct conn_part){ start, (size_t)n };
    parts[1] = (struct conn_part){ data, len };
    parts[2] = (struct conn_part){ "\n\n", 2 };
    return stream_follow(r, parts, 3);
}

void response_comment(struct request *r)
{
    static const struct conn_part comment = { ":\n\n", 3 };

    stream_send(r, &comment, 1);
}

void response_end(struct request *r)
{
    account(r, 200, NULL);
    conn_send(r->conn, NULL, 0, true);
}
