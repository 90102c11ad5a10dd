/* One question to an OpenAI-compatible server.
 *
 *   ASK -> (FAULT ->) (WAIT -> ASK -> (FAULT ->))* -> STREAM or WHOLE -> OVER
 *
 * The steps stand here in that order, the last three in upstream_answer.c. call_finish() is
 * the only way out, well or ill, but for upstream_cancel. Once a byte of an answer has come
 * nothing is tried again: what was said cannot be unsaid, and would be paid for twice. */

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/upstream_call.h"

enum {
    REQUEST_MAX   = 16 << 20,
    FAULT_MAX     = 64 << 10,   /* of an error's body, and the time that it may take */
    FAULT_GRACE   = 5000,
    BACKOFF_FIRST = 500,
    BACKOFF_MAX   = 8000,
};

/* In the order in which they run. False, where given: c is gone. */
static bool ask(struct upstream_call *c);
static void on_header(void *arg, const char *name, const char *value);
static void on_status(void *arg, int status);
static bool on_body(void *arg, const char *bytes, size_t len);
static void on_over(void *arg, int status, const struct err *e);
static void judge(struct upstream_call *c);
static void try_again(struct upstream_call *c, bool may, struct err *e);
static void on_silence(struct upstream_call *c);

void call_set_timer(struct upstream_call *c, int64_t ms)
{
    c->due = clock_ms() + ms;
    timer_set(&c->timer, ms);
}

void call_fail(struct upstream_call *c, enum err_code code, const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", why);
    call_finish(c, &e);
}

int64_t call_time_left(const struct upstream_call *c)
{
    int64_t left = c->deadline - clock_ms();

    return left > 0 ? left : 1;
}

/* ASK */

/* A copy as long as another try is possible. */
static char *take_body(struct upstream_call *c)
{
    char *body = c->body;

    if (c->tries <= c->up->settings->retries) {
        body = malloc(c->body_len);
        return body ? memcpy(body, c->body, c->body_len) : NULL;
    }
    c->body = NULL;
    return body;
}

static bool ask(struct upstream_call *c)
{
    static const struct http_handlers handlers = { on_status, on_header, on_body, on_over };
    struct http_request q = {
        .method = "POST",
        .parsed = c->up->url,
        .prepared = c->up->headers,
        .body_len = c->body_len,
        .total_timeout = call_time_left(c),
    };

    c->state = CALL_ASK;
    c->tries++;
    c->status = 0;
    openai_head_init(&c->head);
    q.body = take_body(c);
    if (q.body)
        c->http = http_send(c->up->http, &q, &handlers, c);
    if (!c->http)
        return false;
    if (c->paused)
        http_pause(c->http);
    c->silent_since = clock_ms();
    call_set_timer(c, c->up->settings->first_token_timeout);
    return true;
}

static void on_header(void *arg, const char *name, const char *value)
{
    struct upstream_call *c = arg;

    openai_head_add(&c->head, name, value);
}

static void on_status(void *arg, int status)
{
    struct upstream_call *c = arg;

    c->status = status;
    if (status != 200) {
        c->state = CALL_FAULT;
        buf_init(&c->whole, FAULT_MAX);
        call_set_timer(c, FAULT_GRACE);
        http_resume(c->http);       /* nobody reads this but we */
    } else if (c->head.body == OPENAI_OTHER) {
        call_fail(c, ERR_UPSTREAM, "an HTML page instead of an answer: is the base URL right?");
    }
}

/* False: c is gone, or in FAULT has read enough; either way the response may end. */
static bool on_body(void *arg, const char *bytes, size_t len)
{
    struct upstream_call *c = arg;

    if (c->state == CALL_FAULT)
        return buf_add(&c->whole, bytes, len);
    return (c->state != CALL_ASK || answer_begin(c)) && answer_bytes(c, bytes, len);
}

/* The response has ended, for its own reasons or by a fault e. */
static void on_over(void *arg, int status, const struct err *e)
{
    struct upstream_call *c = arg;
    struct err why = e ? *e : ERR_NONE;

    (void)status;
    c->http = NULL;
    switch (c->state) {
    case CALL_FAULT:
        judge(c);
        break;
    case CALL_ASK:
        if (!e)
            err_set(&why, ERR_UPSTREAM, "an answer without a body");
        try_again(c, e && e->code != ERR_INTERNAL, &why);
        break;
    default:
        answer_over(c, e);
    }
}

/* FAULT */

static void judge(struct upstream_call *c)
{
    struct err e = ERR_NONE;
    bool       may = openai_read_error(c->status, &c->head, c->whole.data,
                                       buf_ok(&c->whole) ? c->whole.len : 0,
                                       c->up->settings->api_key, &e);

    buf_close(&c->whole);
    try_again(c, may, &e);
}

/* WAIT */

/* As the official clients do it. n: from 0. */
static int64_t backoff(int n)
{
    int64_t ms = n < 4 ? BACKOFF_FIRST << n : BACKOFF_MAX;

    return ms * (750 + arc4random_uniform(251)) / 1000;
}

static void try_again(struct upstream_call *c, bool may, struct err *e)
{
    bool    named = c->head.delay >= 0;
    int64_t delay = named ? c->head.delay : backoff(c->tries - 1);

    if (!may || c->tries > c->up->settings->retries || clock_ms() + delay >= c->deadline
        || (named && (c->others || delay > c->up->settings->retry_after_max))) {
        call_finish(c, e);
        return;
    }
    log_info(&c->log, "model_retry try=%d after_ms=%lld code=%s why=\"%s\"", c->tries + 1,
             (long long)delay, err_name(e->code), e->detail);
    c->state = CALL_WAIT;
    call_set_timer(c, delay);
}

/* The ends */

static void call_free(struct upstream_call *c)
{
    http_cancel(c->http);
    timer_stop(&c->timer);
    timer_stop(&c->resumed);
    sse_free(c->sse);
    buf_close(&c->whole);
    free(c->body);
    free(c->cut);
    free(c);
}

/* Is it this one request that the server will not have? Any other refusal is about all of them. */
static bool request_is_at_fault(const struct upstream_call *c, const struct err *e)
{
    static const int statuses[] = { 400, 413, 422, 429 };

    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
        if (e->code == ERR_UPSTREAM_REFUSED && c->status == statuses[i])
            return true;
    return false;
}

static enum upstream_verdict verdict(const struct upstream_call *c, const struct err *e)
{
    if (!e || c->text_len > 0 || request_is_at_fault(c, e))
        return UPSTREAM_ANSWERED;
    if (e->code == ERR_INTERNAL || e->code == ERR_POOL_BUSY)
        return UPSTREAM_UNDECIDED;
    return c->state <= CALL_WAIT ? UPSTREAM_UNHEARD : UPSTREAM_FAILED;
}

void call_finish(struct upstream_call *c, const struct err *e)
{
    struct model_answer answer = {
        .finish_reason = c->reader.finish_reason,
        .model = c->reader.model,
        .usage = c->reader.usage,
    };

    http_cancel(c->http);
    c->http = NULL;
    c->on.on_done(c->arg, e ? NULL : &answer, e, verdict(c, e));
    call_free(c);
}

static void on_timer(void *arg)
{
    struct upstream_call *c = arg;
    int64_t early = c->due - clock_ms();

    if (early > 0) {
        timer_set(&c->timer, early);
        return;
    }
    switch (c->state) {
    case CALL_WAIT:
        if (!ask(c))
            call_fail(c, ERR_INTERNAL, "out of memory");
        break;
    case CALL_FAULT:            /* the status alone must do */
        http_cancel(c->http);
        c->http = NULL;
        judge(c);
        break;
    case CALL_OVER:
        call_fail(c, ERR_UPSTREAM_SLOW, "the answer was not taken in time");
        break;
    default:
        on_silence(c);
    }
}

/* No first token in time, silence within the answer, or nothing more after its finish
 * reason. Comments are life, but no token. While paused nobody could have heard a thing. */
static void on_silence(struct upstream_call *c)
{
    int64_t limit = c->heard ? c->up->settings->idle_timeout
                             : c->up->settings->first_token_timeout;
    int64_t left = c->silent_since + limit - clock_ms();

    if (openai_finished(&c->reader)) {
        http_cancel(c->http);
        c->http = NULL;
        answer_over(c, NULL);
    } else if (c->paused) {
        call_set_timer(c, limit);
    } else if (left > 0) {
        call_set_timer(c, left);
    } else {
        call_fail(c, ERR_UPSTREAM_SLOW,
                  c->heard ? "the answer fell silent" : "no first token in time");
    }
}

static void on_resumed(void *arg)
{
    struct upstream_call *c = arg;

    if (c->paused)
        return;
    if ((c->state == CALL_STREAM || c->state == CALL_OVER) && !answer_read(c))
        return;
    if (!c->paused && c->http)
        http_resume(c->http);
}

/* What the header promises */

struct upstream_call *upstream_ask(struct upstream *u, const struct model_question *q,
                                   const struct upstream_limits *limits,
                                   const struct upstream_handlers *on, void *arg)
{
    struct upstream_call *c = calloc(1, sizeof(*c));
    struct buf            body;

    if (!c)
        return NULL;
    c->up = u;
    c->on = *on;
    c->arg = arg;
    if (q->log)
        c->log = *q->log;
    c->deadline = limits->deadline;
    c->others = limits->others;
    timer_init(&c->timer, u->loop, on_timer, c);
    timer_init(&c->resumed, u->loop, on_resumed, c);
    buf_init(&c->whole, 0);
    buf_init(&body, REQUEST_MAX);
    if (openai_request_body(&body, u->settings, q)) {
        buf_trim(&body);
        c->body = buf_steal(&body, &c->body_len);
    }
    buf_close(&body);
    if (c->body && ask(c))
        return c;
    call_free(c);
    return NULL;
}

void upstream_cancel(struct upstream_call *c)
{
    if (c && c->talking)
        c->cancelled = true;
    else if (c)
        call_free(c);
}

void upstream_pause(struct upstream_call *c)
{
    if (c->paused)
        return;
    c->paused = true;
    timer_stop(&c->resumed);
    if (c->http && c->state != CALL_FAULT)
        http_pause(c->http);
}

void upstream_resume(struct upstream_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    c->silent_since = clock_ms();
    timer_set(&c->resumed, 0);
}
