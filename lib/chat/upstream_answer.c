/* The answer of an upstream: the states STREAM, WHOLE and OVER of upstream_call.c. */

#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/chat/upstream_call.h"

enum {
    JSON_MAX     = 64 << 10,    /* around the text of an answer */
    FINISH_GRACE = 5000,        /* after the finish reason: for usage and [DONE] */
    DONE_GRACE   = 200,         /* after [DONE]: for the end of the body, to keep the connection */
};

/* False: c is gone. */
static bool read_event(struct upstream_call *c, const struct sse_event *event);
static bool talk(struct upstream_call *c, const struct buf *text);
static bool conclude(struct upstream_call *c);

/* From now on the idle time counts. */
static void first_heard(struct upstream_call *c)
{
    c->heard = true;
    c->silent_since = clock_ms();
    call_set_timer(c, c->up->settings->idle_timeout);
}

bool answer_begin(struct upstream_call *c)
{
    size_t max = 2 * (size_t)c->up->settings->max_answer + JSON_MAX;     /* JSON escapes */

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
        call_fail(c, ERR_INTERNAL, "out of memory");
    return c->sse;
}

bool answer_bytes(struct upstream_call *c, const char *bytes, size_t len)
{
    struct err e = ERR_NONE;

    if (c->heard)
        c->silent_since = clock_ms();
    if (c->state == CALL_WHOLE) {
        if (buf_add(&c->whole, bytes, len))
            return true;
        call_fail(c, ERR_UPSTREAM, "the answer is longer than its maximum");
        return false;
    }
    if (sse_feed(c->sse, bytes, len, &e) != ERR_OK) {
        call_finish(c, &e);
        return false;
    }
    return answer_read(c);
}

bool answer_read(struct upstream_call *c)
{
    const struct sse_event *event;

    while (!c->paused && !c->reader.done && (event = sse_next(c->sse)))
        if (!read_event(c, event))
            return false;
    return c->state != CALL_OVER || c->paused || conclude(c);
}

static bool read_event(struct upstream_call *c, const struct sse_event *event)
{
    struct buf *text = &c->up->text;
    struct err  e = ERR_NONE;

    buf_clear(text);
    if (openai_read_event(&c->reader, event, text, c->up->settings->api_key, &e) != ERR_OK) {
        call_finish(c, &e);
        return false;
    }
    if (c->state == CALL_STREAM && openai_finished(&c->reader))
        call_set_timer(c, c->reader.done ? DONE_GRACE : FINISH_GRACE);
    else if (c->state == CALL_STREAM && !c->heard)
        first_heard(c);
    return talk(c, text);
}

static bool talk(struct upstream_call *c, const struct buf *text)
{
    if (text->len == 0)
        return true;
    c->text_len += text->len;
    if (c->text_len > (size_t)c->up->settings->max_answer) {
        call_fail(c, ERR_UPSTREAM, "the answer is longer than its maximum");
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

static void stream_over(struct upstream_call *c, const struct err *e)
{
    c->state = CALL_OVER;
    if (e) {
        c->cut = malloc(sizeof(*c->cut));
        if (!c->cut) {
            call_finish(c, e);
            return;
        }
        *c->cut = *e;
    } else {
        sse_end(c->sse);
    }
    call_set_timer(c, call_time_left(c));   /* while paused, now or later: that must end too */
    if (!c->paused)
        answer_read(c);
}

static void read_whole(struct upstream_call *c)
{
    struct buf *text = &c->up->text;
    struct err  e = ERR_NONE;

    buf_clear(text);
    if (openai_read_whole(&c->reader, c->whole.data, c->whole.len, text,
                          c->up->settings->api_key, &e) != ERR_OK) {
        call_finish(c, &e);
        return;
    }
    buf_close(&c->whole);
    c->reader.done = true;      /* there are no events to be read */
    c->state = CALL_OVER;
    call_set_timer(c, call_time_left(c));
    if (talk(c, text) && !c->paused)
        conclude(c);
}

void answer_over(struct upstream_call *c, const struct err *e)
{
    if (c->state == CALL_STREAM)
        stream_over(c, e);
    else if (e)
        call_finish(c, e);
    else
        read_whole(c);
}

/* Nothing more will come. After a finish reason the answer is whole, however it ended. */
static bool conclude(struct upstream_call *c)
{
    struct err e = ERR_NONE;

    if (openai_finished(&c->reader)) {
        call_finish(c, NULL);
        return false;
    }
    if (c->cut) {
        e = *c->cut;
        err_wrap(&e, "the answer was cut");
    } else {
        err_set(&e, ERR_UPSTREAM, "the answer ended without a finish reason");
    }
    call_finish(c, &e);
    return false;
}
