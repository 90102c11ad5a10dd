/* Calls and their ends. libcurl's callbacks hand bytes on from within libcurl, where no transfer
 * can be added or removed: what a caller asks for there is done right after libcurl has run
 * (`dead`, `due`). */
#include "lib/io/http.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/io/http_call.h"

/* Each is some ten KiB. */
enum { SPARE_MAX = 32 };

/* A handshake of TLS is a millisecond of work at either end: of thousands begun at once all would
 * take seconds, and whatever else the loop has to do would wait for them. */
enum { CONNECTING_MAX = 256 };

static void after_curl(void *arg);
static void on_doing(void *arg);
static void on_deadline(void *arg);

struct http *http_new(struct loop *l, const struct http_options *o)
{
    struct http *h = calloc(1, sizeof *h);

    if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return NULL;
    }
    list_init(&h->calls);
    list_init(&h->dead);
    list_init(&h->due);
    list_init(&h->waiting);
    list_init(&h->spare);
    timer_init(&h->doing, l, on_doing, h);
    buf_init(&h->line, 128 << 10);
    h->connect_timeout = o->connect_timeout;
    h->max_idle = o->max_idle;
    h->small_buffers = o->small_buffers;
    if (o->ca_file && o->ca_file[0])
        h->ca_file = strdup(o->ca_file);
    if (o->user_agent && o->user_agent[0])
        h->user_agent = strdup(o->user_agent);
    h->share = curl_share_init();
    if (!multi_init(&h->multi, l, after_curl, h) || !h->share) {
        http_free(h);
        return NULL;
    }
    curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return h;
}

/* A new one, or one whose handle has served before. */
static struct http_call *call_new(struct http *h)
{
    struct http_call *c;
    CURL *easy;

    if (list_empty(&h->spare))
        return calloc(1, sizeof *c);
    c = list_owner(h->spare.next, struct http_call, link);
    list_take(&c->link);
    h->spare_count--;
    easy = c->easy;
    memset(c, 0, sizeof *c);
    c->easy = easy;
    return c;
}

static void call_free(struct http_call *c)
{
    struct http *h = c->http;

    list_take(&c->link);
    list_take(&c->due);
    timer_stop(&c->timer);
    if (c->easy)
        curl_multi_remove_handle(h->multi.curl, c->easy);
    http_headers_free(c->headers);
    free(c->body);
    if (c->well && h->spare_count < SPARE_MAX && !h->closed) {
        h->spare_count++;
        list_push(&h->spare, &c->link);
        return;
    }
    curl_easy_cleanup(c->easy);
    free(c);
}

static void free_spare(struct http *h)
{
    while (!list_empty(&h->spare)) {
        struct http_call *c = list_owner(h->spare.next, struct http_call, link);

        list_take(&c->link);
        curl_easy_cleanup(c->easy);
        free(c);
    }
}

void call_connected(struct http_call *c)
{
    c->http->connecting -= c->connecting;
    c->connecting = false;
}

/* Nothing comes from it any more. */
static void call_end(struct http_call *c)
{
    if (c->connecting && !list_empty(&c->http->waiting))
        timer_set(&c->http->doing, 0);
    call_connected(c);
    if (c->state != HTTP_OVER)
        c->http->count--;
    c->state = HTTP_OVER;
    timer_stop(&c->timer);
    list_take(&c->due);
}

static void free_dead(struct http *h)
{
    while (!list_empty(&h->dead))
        call_free(list_owner(h->dead.next, struct http_call, link));
}

void http_free(struct http *h)
{
    if (!h)
        return;
    h->closed = true;
    while (!list_empty(&h->calls)) {
        struct http_call *c = list_owner(h->calls.next, struct http_call, link);

        call_end(c);
        list_take(&c->link);
        list_push(&h->dead, &c->link);
    }
    if (h->multi.inside || h->busy)
        return;
    free_dead(h);
    free_spare(h);
    timer_stop(&h->doing);
    multi_close(&h->multi);
    curl_share_cleanup(h->share);
    buf_close(&h->line);
    free(h->ca_file);
    free(h->user_agent);
    free(h);
    curl_global_cleanup();
}

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
    struct http *h = c->http;
    CURLMcode rc;

    if (h->connecting >= CONNECTING_MAX) {
        list_push(&h->waiting, &c->due);
        c->state = HTTP_NEW;
        return;
    }
    c->connecting = true;
    h->connecting++;
    multi_keep(&h->multi, h->count + (size_t)h->max_idle);
    rc = multi_add(&h->multi, c->easy);
    c->state = HTTP_RUNNING;
    if (rc == CURLM_OK)
        return;
    c->problem = ERR_INTERNAL;
    c->problem_text = curl_multi_strerror(rc);
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

struct http_call *http_send(struct http *h, const struct http_request *q,
                            const struct http_handlers *on, void *arg)
{
    struct http_call *c = h->closed ? NULL : call_new(h);

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
    list_push(&h->calls, &c->link);
    h->count++;
    timer_init(&c->timer, h->multi.loop, on_deadline, c);
    set_deadlines(c, q);
    if (!transfer_prepare(c, q)) {
        c->problem = ERR_INTERNAL;
        c->problem_text = "the request could not be made";
        call_is_due(c);
    } else if (h->multi.inside) {
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
    call_end(c);
    list_take(&c->link);
    if (c->http->multi.inside)
        list_push(&c->http->dead, &c->link);
    else
        call_free(c);
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
    else if (result == CURLE_OUT_OF_MEMORY && c->sent && !c->status)
        err_set(e, ERR_UPSTREAM, "a header line is too long");     /* libcurl has one word for both */
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
    call_end(c);
    list_take(&c->link);
    c->on.on_done(c->arg, c->status, c->well ? NULL : &e);
    call_free(c);
}

static void call_repeat(struct http_call *c)
{
    curl_multi_remove_handle(c->http->multi.curl, c->easy);
    transfer_repeat(c);
    call_start(c);
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
        else
            call_done(c, result);
    }
}

static void start_waiting(struct http *h)
{
    while (!h->closed && h->connecting < CONNECTING_MAX && !list_empty(&h->waiting)) {
        struct http_call *c = list_owner(h->waiting.next, struct http_call, due);

        list_take(&c->due);
        call_start(c);
    }
}

static void after_curl(void *arg)
{
    struct http *h = arg;

    h->busy = true;
    take_ended(h);
    free_dead(h);
    start_waiting(h);
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
    m->inside = true;
    rc = curl_easy_pause(c->easy, CURLPAUSE_CONT);
    m->inside = false;
    if (rc != CURLE_OK && c->state != HTTP_OVER)
        call_done(c, rc);
}

static void on_doing(void *arg)
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
    after_curl(h);
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
    after_curl(h);
}
