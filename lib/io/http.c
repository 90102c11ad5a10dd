/* Calls and their ends. Bytes are handed on from within libcurl, where no transfer can be added or
 * removed, or from within a plain connection: what a caller asks for there is done right after that
 * (`dead`, `due`). */
#include "lib/io/http.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/io/http_call.h"
#include "lib/io/http_plain.h"

static void on_deadline(void *arg);

static void call_is_due(struct http_call *c)
{
    struct http *h = c->http;

    if (list_empty(&c->due))
        list_push(&h->due, &c->due);
    timer_set(&h->doing, 0);
}

void call_watch(struct http_call *c)
{
    int64_t next = c->total_at, idle = 0;

    if (!c->status)
        idle = c->first_byte_at;
    else if (c->idle_timeout && !c->paused)
        idle = c->heard_at + c->idle_timeout;
    if (!next || (idle && idle < next))
        next = idle;
    if (next) {
        int64_t now = clock_ms();

        timer_set(&c->timer, next > now ? next - now : 1);
    }
}

static void call_start(struct http_call *c)
{
    CURLMcode rc = CURLM_OUT_OF_MEMORY;

    c->state = HTTP_RUNNING;
    if (c->site && !c->fresh && plain_reuse(c))
        return;
    multi_keep(&c->http->multi, c->http->count + (size_t)c->http->max_idle);
    if (!c->site || transfer_connect(c, c->site->url))
        rc = multi_add(&c->http->multi, c->easy);
    if (rc == CURLM_OK)
        return;
    http_fail(c, ERR_INTERNAL, curl_multi_strerror(rc));
    call_is_due(c);
}

static void set_deadlines(struct http_call *c, const struct http_request *q)
{
    int64_t now = clock_ms();

    c->first_byte_at = q->first_byte_timeout ? now + q->first_byte_timeout : 0;
    c->total_at = q->total_timeout ? now + q->total_timeout : 0;
    c->idle_timeout = q->idle_timeout;
    call_watch(c);
}

void http_fail(struct http_call *c, enum err_code problem, const char *text)
{
    if (c->problem != ERR_OK)
        return;
    c->problem = problem;
    c->problem_text = text;
}

static bool prepare(struct http_call *c, const struct http_request *q)
{
    const struct http_headers *headers = q->prepared;
    const char *path;

    c->bodyless = strcmp(q->method, "HEAD") == 0;
    c->has_body = c->body || !(c->bodyless || strcmp(q->method, "GET") == 0 ||
                               strcmp(q->method, "DELETE") == 0);
    if (q->headers || !headers)
        headers = c->headers = http_headers_new(q->headers);
    c->site = plain_site(c->http, q->url, &path);
    if (!headers)
        return false;
    return c->site ? plain_prepare(c, q, path, headers) : transfer_prepare(c, q, headers);
}

struct http_call *http_send(struct http *h, const struct http_request *q,
                            const struct http_handlers *on, void *arg)
{
    struct http_call *c = h->closed ? NULL : http_call_new(h);

    if (!c) {
        free(q->body);
        return NULL;
    }
    c->http = h;
    c->on = *on;
    c->arg = arg;
    c->body = q->body;
    c->body_len = q->body ? q->body_len : 0;
    list_init(&c->due);
    list_init(&c->link);
    buf_init(&c->head, 0);
    list_push(&h->calls, &c->link);
    h->count++;
    timer_init(&c->timer, h->multi.loop, on_deadline, c);
    set_deadlines(c, q);
    if (!prepare(c, q)) {
        http_fail(c, ERR_INTERNAL, "the request could not be made");
        call_is_due(c);
    } else if (http_is_inside(h)) {
        call_is_due(c);
    } else {
        call_start(c);
    }
    return c;
}

void http_cancel(struct http_call *c)
{
    if (!c || c->state == HTTP_OVER)
        return;
    http_call_end(c);
    list_take(&c->link);
    if (http_is_inside(c->http))
        list_push(&c->http->dead, &c->link);
    else
        http_call_free(c);
}

void http_pause(struct http_call *c)
{
    if (c)
        c->paused = true;
}

/* Always later: libcurl hands on what it has kept from within curl_easy_pause. */
void http_resume(struct http_call *c)
{
    if (!c || !c->paused || c->state == HTTP_OVER)
        return;
    c->paused = false;
    c->heard_at = clock_ms();
    call_watch(c);
    if (c->held)
        call_is_due(c);
}

static void why_failed(const struct http_call *c, CURLcode result, struct err *e)
{
    const char *says = c->curl_says[0] ? c->curl_says : curl_easy_strerror(result);
    long problem = 0;

    if (c->easy)
        curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &problem);
    if (c->problem != ERR_OK)
        err_set(e, c->problem, "%s", c->problem_text);
    else if (result == CURLE_OPERATION_TIMEDOUT)
        err_set(e, ERR_UPSTREAM_SLOW, "connecting: %s", says);
    else if (result == CURLE_OUT_OF_MEMORY && c->sent && !c->status)    /* one word for both */
        err_set(e, ERR_UPSTREAM, "a header line is too long");
    else if (result == CURLE_OUT_OF_MEMORY)
        err_set(e, ERR_INTERNAL, "out of memory");
    else if (result == CURLE_OK)
        err_set(e, ERR_UPSTREAM, "the answer ended within its headers");
    else if (result == CURLE_COULDNT_CONNECT && problem)
        err_set(e, ERR_UPSTREAM, "%s: %s", says, strerror((int)problem));
    else
        err_set(e, ERR_UPSTREAM, "%s", says);
}

/* The last callback. The pool itself may be freed in it, but h->busy holds that up. */
static void call_done(struct http_call *c, CURLcode result)
{
    struct err e = ERR_NONE;

    c->well = c->problem == ERR_OK && result == CURLE_OK && c->status;
    if (!c->well)
        why_failed(c, result, &e);
    http_call_end(c);
    list_take(&c->link);
    c->on.on_done(c->arg, c->status, c->well ? NULL : &e);
    http_call_free(c);
}

static void call_repeat(struct http_call *c)
{
    plain_close(c->plain);
    c->plain = NULL;
    c->fresh = true;
    c->again = false;
    c->line_status = 0;
    if (!c->site)
        transfer_repeat(c);
    call_start(c);
}

static void call_connected(struct http_call *c)
{
    int fd = transfer_take_socket(c);

    if (fd >= 0 && plain_begin(c, fd))
        return;
    http_fail(c, ERR_POOL_BUSY, "nothing is left for a connection");
    call_done(c, CURLE_OK);
}

void call_has_ended(struct http_call *c)
{
    list_take(&c->due);
    list_push(&c->http->ended, &c->due);
}

static void take_plain_ended(struct http *h)
{
    while (!h->closed && !list_empty(&h->ended)) {
        struct http_call *c = list_owner(h->ended.next, struct http_call, due);

        list_take(&c->due);
        if (c->again) {
            call_repeat(c);
            continue;
        }
        if (c->problem == ERR_OK)
            plain_release(c);
        call_done(c, CURLE_OK);
    }
}

static void take_ended(struct http *h)
{
    CURLMsg *message;
    int left;

    while (!h->closed && (message = curl_multi_info_read(h->multi.curl, &left))) {
        CURLcode result = message->data.result;
        struct http_call *c = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &c);
        if (c->state == HTTP_OVER)
            continue;
        if (c->again)
            call_repeat(c);
        else if (c->site && result == CURLE_OK && c->problem == ERR_OK)
            call_connected(c);
        else
            call_done(c, result);
    }
}

void http_ran(struct http *h)
{
    h->busy = true;
    take_plain_ended(h);
    take_ended(h);
    http_call_free_dead(h);
    multi_keep(&h->multi, h->count + (size_t)h->max_idle);
    h->busy = false;
    if (h->closed)
        http_free(h);
}

/* libcurl runs in here, so the bytes it kept are handed on as if they came just now. */
static void call_continue(struct http_call *c)
{
    struct http_multi *m = &c->http->multi;
    CURLcode rc;

    c->held = false;
    if (c->plain) {
        plain_continue(c);
        return;
    }
    m->inside = true;
    rc = curl_easy_pause(c->easy, CURLPAUSE_CONT);
    m->inside = false;
    if (rc != CURLE_OK && c->state != HTTP_OVER)
        call_done(c, rc);
}

void http_do_due(void *arg)
{
    struct http *h = arg;
    struct list due;

    list_init(&due);
    list_move(&due, &h->due);
    h->busy = true;
    while (!h->closed && !list_empty(&due)) {
        struct http_call *c = list_owner(due.next, struct http_call, due);

        list_take(&c->due);
        if (c->problem != ERR_OK)
            call_done(c, CURLE_OK);
        else if (c->state == HTTP_NEW)
            call_start(c);
        else if (c->held && !c->paused)
            call_continue(c);
    }
    http_ran(h);
}

static void on_deadline(void *arg)
{
    struct http_call *c = arg;
    struct http *h = c->http;
    int64_t now = clock_ms();

    if (c->total_at && now >= c->total_at)
        c->problem_text = "not done within its time";
    else if (!c->status && c->first_byte_at && now >= c->first_byte_at)
        c->problem_text = "no answer within its time";
    else if (c->status && c->idle_timeout && !c->paused && now >= c->heard_at + c->idle_timeout)
        c->problem_text = "the answer fell silent";
    if (!c->problem_text) {
        call_watch(c);
        return;
    }
    c->problem = ERR_UPSTREAM_SLOW;
    h->busy = true;
    call_done(c, CURLE_OK);
    http_ran(h);
}
