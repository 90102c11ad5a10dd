/* One question to an OpenAI-compatible server.
 *
 *   ASK -> (FAULT ->) (WAIT -> ASK -> (FAULT ->))* -> STREAM or WHOLE -> OVER
 *
 * The steps stand here in that order. finish() is the only way out, well or ill, but for
 * upstream_cancel. Once a byte of an answer has come nothing is tried again: what was said
 * cannot be unsaid, and would be paid for twice. */

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/openai.h"
#include "lib/chat/openai_error.h"
#include "lib/chat/upstream.h"

enum call_state {
    CALL_ASK,       /* the request is out, no byte of an answer has come */
    CALL_FAULT,     /* another status than 200; its body is being read */
    CALL_WAIT,      /* the delay before the next try */
    CALL_STREAM,    /* the events of the answer */
    CALL_WHOLE,     /* the answer as one JSON object, from a server that does not stream */
    CALL_OVER,      /* the response has ended; events may be left, while we are paused */
};

enum {
    REQUEST_MAX   = 16 << 20,
    FAULT_MAX     = 64 << 10,   /* of an error's body, and the time that it may take */
    FAULT_GRACE   = 5000,
    FINISH_GRACE  = 5000,       /* after the finish reason: for usage and [DONE] */
    DONE_GRACE    = 200,        /* after [DONE]: for the end of the body, to keep the connection */
    BACKOFF_FIRST = 500,
    BACKOFF_MAX   = 8000,
};

struct upstream_call {
    struct upstream      *up;       /* borrowed */
    enum call_state       state;
    struct model_handlers on;
    void                 *arg;
    struct log            log;
    struct http_call     *http;     /* NULL in WAIT and OVER */
    char                 *body;     /* the request, kept while it may be sent again */
    size_t                body_len;
    int                   tries;    /* begun */
    int                   status;
    int64_t               deadline; /* of all tries together */
    struct timer          timer;    /* of the state */
    int64_t               due;      /* when it fires */
    struct timer          resumed;
    struct openai_head    head;
    struct openai_reader  reader;
    struct sse           *sse;
    struct buf            whole;    /* body of FAULT and WHOLE */
    size_t                text_len; /* bytes handed on */
    struct err           *cut;      /* in OVER: what ended the response, NULL = its end */
    bool                  heard;    /* an event has come: the first token's deadline is met */
    int64_t               silent_since; /* the last byte; before the first event, the request */
    bool                  paused;
    bool                  talking;  /* within on_text, where we may be cancelled */
    bool                  cancelled;
};

/* In the order in which they run. False, where given: c is gone. */
static bool ask(struct upstream_call *c);
static void on_header(void *arg, const char *name, const char *value);
static void on_status(void *arg, int status);
static bool on_body(void *arg, const char *bytes, size_t len);
static void on_over(void *arg, int status, const struct err *e);
static void judge(struct upstream_call *c);
static void try_again(struct upstream_call *c, bool may, struct err *e);
static void end_of_stream(struct upstream_call *c, const struct err *e);
static bool read_events(struct upstream_call *c);
static void read_whole(struct upstream_call *c);
static bool talk(struct upstream_call *c, const struct buf *text);
static bool conclude(struct upstream_call *c);
static void finish(struct upstream_call *c, const struct err *e);
static void on_silence(struct upstream_call *c);

static const struct settings *settings(const struct upstream_call *c)
{
    return c->up->settings;
}

static void set_timer(struct upstream_call *c, int64_t ms)
{
    c->due = clock_ms() + ms;
    timer_set(&c->timer, ms);
}

static void fail(struct upstream_call *c, enum err_code code, const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", why);
    finish(c, &e);
}

/* Of the turn; never 0, which would mean no limit. */
static int64_t time_left(const struct upstream_call *c)
{
    int64_t left = c->deadline - clock_ms();

    return left > 0 ? left : 1;
}

/* ASK */

/* A copy as long as another try is possible. */
static char *take_body(struct upstream_call *c)
{
    char *body = c->body;

    if (c->tries <= settings(c)->model.retries) {
        body = malloc(c->body_len);
        return body ? memcpy(body, c->body, c->body_len) : NULL;
    }
    c->body = NULL;
    return body;
}

static bool ask(struct upstream_call *c)
{
    static const struct http_handlers handlers = { on_status, on_header, on_body, on_over };
    const char *const headers[] = {
        "Content-Type: application/json", "Accept: text/event-stream", c->up->auth, NULL,
    };
    struct http_request q = {
        .method = "POST",
        .url = c->up->url,
        .headers = headers,
        .body_len = c->body_len,
        .total_timeout = time_left(c),
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
    set_timer(c, settings(c)->model.first_token_timeout);
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
        set_timer(c, FAULT_GRACE);
        http_resume(c->http);       /* nobody reads this but we */
    } else if (c->head.body == OPENAI_OTHER) {
        fail(c, ERR_UPSTREAM, "an HTML page instead of an answer: is the base URL right?");
    }
}

/* From now on the idle time counts. */
static void first_heard(struct upstream_call *c)
{
    c->heard = true;
    c->silent_since = clock_ms();
    set_timer(c, settings(c)->model.idle_timeout);
}

/* The first byte of a 200's body. */
static bool begin_answer(struct upstream_call *c)
{
    size_t max = 2 * (size_t)settings(c)->model.max_answer + FAULT_MAX;     /* JSON escapes */

    free(c->body);
    c->body = NULL;
    if (c->head.body == OPENAI_JSON) {
        c->state = CALL_WHOLE;
        buf_init(&c->whole, max);
        first_heard(c);
        return true;
    }
    c->state = CALL_STREAM;
    c->sse = sse_new(max);
    if (!c->sse)
        fail(c, ERR_INTERNAL, "out of memory");
    return c->sse;
}

/* False: c is gone, or in FAULT has read enough; either way the response may end. */
static bool on_body(void *arg, const char *bytes, size_t len)
{
    struct upstream_call *c = arg;
    struct err e = ERR_NONE;

    if (c->heard)
        c->silent_since = clock_ms();
    if (c->state == CALL_ASK && !begin_answer(c))
        return false;
    if (c->state != CALL_STREAM) {
        if (buf_add(&c->whole, bytes, len))
            return true;
        if (c->state == CALL_WHOLE)
            fail(c, ERR_UPSTREAM, "the answer is longer than its maximum");
        return false;
    }
    if (sse_feed(c->sse, bytes, len, &e) != ERR_OK) {
        finish(c, &e);
        return false;
    }
    return read_events(c);
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
    case CALL_WHOLE:
        if (e)
            finish(c, &why);
        else
            read_whole(c);
        break;
    case CALL_ASK:
        if (!e)
            err_set(&why, ERR_UPSTREAM, "an answer without a body");
        try_again(c, e && e->code != ERR_INTERNAL, &why);
        break;
    default:
        end_of_stream(c, e);
    }
}

/* FAULT */

static void judge(struct upstream_call *c)
{
    struct err e = ERR_NONE;
    bool       may = openai_read_error(c->status, &c->head, c->whole.data,
                                       buf_ok(&c->whole) ? c->whole.len : 0,
                                       settings(c)->model.api_key, &e);

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

    if (!may || c->tries > settings(c)->model.retries || clock_ms() + delay >= c->deadline
        || (named && delay > settings(c)->model.retry_after_max)) {
        finish(c, e);
        return;
    }
    log_info(&c->log, "model_retry try=%d after_ms=%lld code=%s why=\"%s\"", c->tries + 1,
             (long long)delay, err_name(e->code), e->detail);
    c->state = CALL_WAIT;
    set_timer(c, delay);
}

/* STREAM, WHOLE and OVER */

static void end_of_stream(struct upstream_call *c, const struct err *e)
{
    c->state = CALL_OVER;
    if (e) {
        c->cut = malloc(sizeof(*c->cut));
        if (!c->cut) {
            finish(c, e);
            return;
        }
        *c->cut = *e;
    } else {
        sse_end(c->sse);
    }
    timer_stop(&c->timer);
    if (c->paused)      /* what nobody takes must end too */
        set_timer(c, time_left(c));
    else
        read_events(c);
}

static bool read_event(struct upstream_call *c, const struct sse_event *event)
{
    struct buf *text = &c->up->text;
    struct err  e = ERR_NONE;

    buf_clear(text);
    if (openai_read_event(&c->reader, event, text, settings(c)->model.api_key, &e) != ERR_OK) {
        finish(c, &e);
        return false;
    }
    if (c->state == CALL_STREAM && openai_finished(&c->reader))
        set_timer(c, c->reader.done ? DONE_GRACE : FINISH_GRACE);
    else if (c->state == CALL_STREAM && !c->heard)
        first_heard(c);
    return talk(c, text);
}

/* All that have come, unless on_text pauses us. */
static bool read_events(struct upstream_call *c)
{
    const struct sse_event *event;

    while (!c->paused && !c->reader.done && (event = sse_next(c->sse)))
        if (!read_event(c, event))
            return false;
    return c->state != CALL_OVER || c->paused || conclude(c);
}

static void read_whole(struct upstream_call *c)
{
    struct buf *text = &c->up->text;
    struct err  e = ERR_NONE;

    buf_clear(text);
    if (openai_read_whole(&c->reader, c->whole.data, c->whole.len, text,
                          settings(c)->model.api_key, &e) != ERR_OK) {
        finish(c, &e);
        return;
    }
    buf_close(&c->whole);
    c->reader.done = true;      /* there are no events to be read */
    c->state = CALL_OVER;
    if (!talk(c, text))
        return;
    if (c->paused)
        set_timer(c, time_left(c));
    else
        conclude(c);
}

static bool talk(struct upstream_call *c, const struct buf *text)
{
    if (text->len == 0)
        return true;
    c->text_len += text->len;
    if (c->text_len > (size_t)settings(c)->model.max_answer) {
        fail(c, ERR_UPSTREAM, "the answer is longer than its maximum");
        return false;
    }
    c->talking = true;
    c->on.on_text(c->arg, text->data, text->len);
    c->talking = false;
    if (!c->cancelled)
        return true;
    upstream_cancel(c);
    return false;
}

/* Nothing more will come. After a finish reason the answer is whole, however it ended. */
static bool conclude(struct upstream_call *c)
{
    struct err e = ERR_NONE;

    if (openai_finished(&c->reader)) {
        finish(c, NULL);
        return false;
    }
    if (c->cut) {
        e = *c->cut;
        err_wrap(&e, "the answer was cut");
    } else {
        err_set(&e, ERR_UPSTREAM, "the answer ended without a finish reason");
    }
    finish(c, &e);
    return false;
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

static void finish(struct upstream_call *c, const struct err *e)
{
    struct model_answer answer = {
        .finish_reason = c->reader.finish_reason,
        .model = c->reader.model,
        .usage = c->reader.usage,
    };

    http_cancel(c->http);
    c->http = NULL;
    c->on.on_done(c->arg, e ? NULL : &answer, e);
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
            fail(c, ERR_INTERNAL, "out of memory");
        break;
    case CALL_FAULT:            /* the status alone must do */
        http_cancel(c->http);
        c->http = NULL;
        judge(c);
        break;
    case CALL_OVER:
        fail(c, ERR_UPSTREAM_SLOW, "the answer was not taken in time");
        break;
    default:
        on_silence(c);
    }
}

/* No first token in time, silence within the answer, or nothing more after its finish
 * reason. Comments are life, but no token. While paused nobody could have heard a thing. */
static void on_silence(struct upstream_call *c)
{
    int64_t limit = c->heard ? settings(c)->model.idle_timeout
                             : settings(c)->model.first_token_timeout;
    int64_t left = c->silent_since + limit - clock_ms();

    if (openai_finished(&c->reader)) {
        http_cancel(c->http);
        c->http = NULL;
        end_of_stream(c, NULL);
    } else if (c->paused) {
        set_timer(c, limit);
    } else if (left > 0) {
        set_timer(c, left);
    } else {
        fail(c, ERR_UPSTREAM_SLOW, c->heard ? "the answer fell silent" : "no first token in time");
    }
}

static void on_resumed(void *arg)
{
    struct upstream_call *c = arg;

    if (c->paused)
        return;
    if (c->state == CALL_OVER)
        timer_stop(&c->timer);
    if ((c->state == CALL_STREAM || c->state == CALL_OVER) && !read_events(c))
        return;
    if (!c->paused && c->http)
        http_resume(c->http);
}

/* What the header promises */

struct upstream_call *upstream_ask(struct upstream *u, const struct model_question *q,
                                   const struct model_handlers *on, void *arg)
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
    c->deadline = clock_ms() + u->settings->model.turn_timeout;
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
