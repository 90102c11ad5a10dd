#include "jobrunner/google/token.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "jobrunner/google/assertion.h"
#include "jobrunner/google/exchange.h"
#include "jobrunner/google/google_error.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"

enum { RENEW_BEFORE_END = 5 * 60 * 1000, USABLE_BEFORE_END = 30 * 1000, FORM_MAX = 64 * 1024 };

struct token_wait {
    LIST_ENTRY(token_wait) others;
    struct tokens         *tokens;
    struct timer           answer;      /* runs once the outcome is there */
    token_fn              *fn;
    void                  *arg;
};

struct tokens {
    struct tokens_options o;
    LIST_HEAD(, token_wait) waits;
    char            *token;             /* owned, or NULL */
    int64_t          renew_at, usable_until;    /* monotonic ms */
    struct exchange *request;           /* under way, or NULL */
    enum store_verdict verdict;         /* of the last request */
    struct err       err;
};

static void forget(struct tokens *t)
{
    if (t->token)
        explicit_bzero(t->token, strlen(t->token));
    free(t->token);
    t->token = NULL;
}

struct tokens *tokens_new(struct tokens_options *o)
{
    struct tokens *t = calloc(1, sizeof(*t));

    if (!t) {
        credentials_close(&o->credentials);
        return NULL;
    }
    t->o = *o;
    memset(&o->credentials, 0, sizeof(o->credentials));
    LIST_INIT(&t->waits);
    return t;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    exchange_cancel(t->request);
    while (!LIST_EMPTY(&t->waits))
        token_cancel(LIST_FIRST(&t->waits));
    forget(t);
    credentials_close(&t->o.credentials);
    free(t);
}

/* --- the request --- */

static bool usable(const struct tokens *t)
{
    return t->token && clock_ms() < t->usable_until;
}

static void answer_all(struct tokens *t)
{
    struct token_wait *w;

    LIST_FOREACH(w, &t->waits, others)
        timer_set(&w->answer, 0);
}

/* A token that still works is better than an error, so a failed renewal does not take it away. */
static void failed(struct tokens *t, enum store_verdict verdict)
{
    t->verdict = verdict;
    err_wrap(&t->err, "getting a token");
    answer_all(t);
}

static bool keep(struct tokens *t, const struct exchange_reply *r)
{
    json_t *top = NULL;

    if (json_parse(r->body, r->body_len, &top, NULL) != ERR_OK)
        return false;

    const char *token = json_str(top, "access_token");
    int64_t lifetime = json_int(top, "expires_in", 0) * 1000, now = clock_ms();
    /* A token that lives only minutes is renewed at half of its life. */
    int64_t margin = lifetime / 2 < RENEW_BEFORE_END ? lifetime / 2 : RENEW_BEFORE_END;
    char *copy = token && *token && lifetime > 0 && !strpbrk(token, "\r\n") ? strdup(token) : NULL;

    json_decref(top);
    if (!copy)
        return false;
    forget(t);
    t->token = copy;
    t->renew_at = now + lifetime - margin;
    t->usable_until = now + lifetime - (margin < USABLE_BEFORE_END ? margin : USABLE_BEFORE_END);
    return true;
}

static void on_reply(void *arg, const struct exchange_reply *r)
{
    struct tokens *t = arg;

    t->request = NULL;
    t->err = ERR_NONE;
    if (r->fault || r->status != 200)
        failed(t, google_error_token(r, &t->err));
    else if (keep(t, r)) {
        t->verdict = STORE_OK;
        answer_all(t);
    } else {
        err_set(&t->err, ERR_UPSTREAM, "the answer holds no token");
        failed(t, STORE_AWAY);
    }
}

static void ask(struct tokens *t)
{
    static const char *const headers[] = {
        "Content-Type: application/x-www-form-urlencoded", "Accept: application/json", NULL,
    };
    struct http_request q = {
        .method = "POST", .url = t->o.credentials.token_uri, .headers = headers,
        .total_timeout = t->o.timeout,
    };
    struct buf form;

    t->err = ERR_NONE;
    buf_init(&form, FORM_MAX);
    if (token_form(&form, &t->o.credentials, t->o.scope, t->o.subject, clock_wall_ms() / 1000,
                   &t->err) == ERR_OK) {
        q.body = buf_steal(&form, &q.body_len);
        t->request = exchange_send(t->o.http, &q, on_reply, t);
        if (!t->request)
            err_set(&t->err, ERR_INTERNAL, "out of memory");
    }
    buf_close(&form);
    if (!t->request)
        failed(t, STORE_TRY_AGAIN);
}

/* --- those who wait --- */

static void on_answer(void *arg)
{
    struct token_wait *w = arg, copy = *w;
    struct tokens *t = w->tokens;

    if (!usable(t) && !t->request && t->verdict == STORE_OK)
        ask(t); /* the token was refused or ran out while we came to be called */
    if (!usable(t) && t->request)
        return; /* its outcome is ours too */
    token_cancel(w);
    if (usable(t))
        copy.fn(copy.arg, t->token, STORE_OK, NULL);
    else {
        struct err e = t->err;  /* the callback may ask again, or free t */
        copy.fn(copy.arg, NULL, t->verdict, &e);
    }
}

struct token_wait *token_get(struct tokens *t, token_fn *fn, void *arg)
{
    struct token_wait *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->tokens = t;
    w->fn = fn;
    w->arg = arg;
    timer_init(&w->answer, t->o.loop, on_answer, w);
    LIST_INSERT_HEAD(&t->waits, w, others);
    if (t->token && clock_ms() < t->renew_at)
        timer_set(&w->answer, 0);
    else if (!t->request)
        ask(t);
    return w;
}

void token_cancel(struct token_wait *w)
{
    if (!w)
        return;
    timer_stop(&w->answer);
    LIST_REMOVE(w, others);
    free(w);
}

void token_reject(struct tokens *t, const char *token)
{
    if (t->token && strcmp(t->token, token) == 0)
        forget(t);
}
