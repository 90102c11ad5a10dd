#include "jobrunner/google/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobrunner/google/google_error.h"
#include "lib/base/json.h"

/*   TOKEN -> READY -> ASKED -> done
 *     ^-- once, on 401 --'             */

struct google_call {
    const struct google  *google;
    struct google_handlers on;
    void                 *arg;
    struct drive_request  request;
    int64_t               timeout;
    struct token_wait    *waiting;      /* in TOKEN */
    struct exchange      *exchange;     /* in ASKED */
    struct buf            authorization;    /* the header line; secret */
    char                 *token;            /* the same, to reject it: points into it */
    bool                  repeated;         /* after a 401 */
    struct timer          give_up;          /* when memory is out */
};

static void on_token(void *arg, const char *token, enum store_verdict verdict, const struct err *e);
static void on_reply(void *arg, const struct exchange_reply *r);

enum { AUTHORIZATION_MAX = 16 * 1024 };

static void call_free(struct google_call *c)
{
    timer_stop(&c->give_up);
    drive_request_close(&c->request);
    if (c->authorization.len)
        explicit_bzero(c->authorization.data, c->authorization.len);
    buf_close(&c->authorization);
    free(c);
}

/* The end, well or ill. */
static void finish(struct google_call *c, const struct google_result *r)
{
    struct google_handlers on = c->on;
    void *arg = c->arg;

    call_free(c);
    on.on_done(arg, r);
}

static void fail(struct google_call *c, enum store_verdict verdict, const struct err *e)
{
    finish(c, &(struct google_result){ .verdict = verdict, .err = e });
}

static void on_give_up(void *arg)
{
    struct err e = ERR_NONE;

    err_set(&e, ERR_INTERNAL, "out of memory");
    fail(arg, STORE_TRY_AGAIN, &e);
}

struct google_call *google_call(const struct google *g, struct drive_request *q, int64_t timeout,
                                const struct google_handlers *on, void *arg)
{
    struct google_call *c = calloc(1, sizeof(*c));

    if (!c) {
        drive_request_close(q);
        return NULL;
    }
    c->google = g;
    c->on = *on;
    c->arg = arg;
    c->timeout = timeout;
    c->request = *q;
    memset(q, 0, sizeof(*q));
    buf_init(&c->authorization, AUTHORIZATION_MAX);
    timer_init(&c->give_up, g->loop, on_give_up, c);
    c->waiting = token_get(g->tokens, on_token, c);
    if (!c->waiting) {
        call_free(c);
        return NULL;
    }
    return c;
}

static void on_token(void *arg, const char *token, enum store_verdict verdict, const struct err *e)
{
    static const char name[] = "Authorization: Bearer ";
    struct google_call *c = arg;

    c->waiting = NULL;
    if (!token) {
        fail(c, verdict, e);
        return;
    }
    buf_clear(&c->authorization);
    buf_adds(&c->authorization, name);
    buf_adds(&c->authorization, token);
    c->token = c->authorization.data + strlen(name);
    if (c->on.on_ready)
        c->on.on_ready(c->arg, c->timeout);     /* c may be gone */
    else
        google_call_proceed(c);
}

void google_call_proceed(struct google_call *c)
{
    const struct drive_request *d = &c->request;
    char type[120], range[120], upload[120];
    const char *headers[6];
    size_t n = 0;
    struct http_request q = {
        .method = d->method, .url = d->url.data, .headers = headers, .total_timeout = c->timeout,
    };

    headers[n++] = c->authorization.data;
    if (d->content_type[0]) {
        snprintf(type, sizeof(type), "Content-Type: %s", d->content_type);
        headers[n++] = type;
    }
    if (d->range[0]) {
        snprintf(range, sizeof(range), "Content-Range: %s", d->range);
        headers[n++] = range;
    }
    if (d->upload_len) {
        snprintf(upload, sizeof(upload), "X-Upload-Content-Length: %zu", d->upload_len);
        headers[n++] = "X-Upload-Content-Type: text/html; charset=UTF-8";
        headers[n++] = upload;
    }
    headers[n] = NULL;
    /* A copy goes out, because a 401 asks for a repeat. */
    q.body_len = d->body.len;
    if ((d->body.len || d->range[0]) && (q.body = malloc(d->body.len + 1)))
        memcpy(q.body, d->body.data, d->body.len + 1);
    if (q.body || !d->body.len)
        c->exchange = exchange_send(d->once ? c->google->http_once : c->google->http, &q,
                                    on_reply, c);
    if (!c->exchange)
        timer_set(&c->give_up, 0);
}

static bool token_again(struct google_call *c)
{
    token_reject(c->google->tokens, c->token);
    c->repeated = true;
    c->waiting = token_get(c->google->tokens, on_token, c);
    return c->waiting;
}

static void on_reply(void *arg, const struct exchange_reply *r)
{
    struct google_call *c = arg;
    struct google_result result = { .verdict = STORE_OK, .reply = r };
    struct err e = ERR_NONE;
    json_t *json = NULL;

    c->exchange = NULL;
    if (!r->fault && r->status == 401 && !c->repeated && token_again(c))
        return;
    if (r->fault || !((r->status >= 200 && r->status < 300) || r->status == 308)) {
        result.verdict = google_error_drive(r, &e);
        result.err = &e;
    } else if (json_parse(r->body, r->body_len, &json, NULL) == ERR_OK)
        result.json = json;
    finish(c, &result);
    json_decref(json);
}

void google_call_cancel(struct google_call *c)
{
    if (!c)
        return;
    token_cancel(c->waiting);
    exchange_cancel(c->exchange);
    call_free(c);
}
