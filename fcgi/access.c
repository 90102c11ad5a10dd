/* A request on its way to its handler:
 *
 *   KEY -> COUNT -> the handler
 *
 * Both steps ask Redis only if they must: KEY for a key that Redis knows and this process has not
 * met lately, COUNT for one whose requests are limited. While it waits the client may leave. */

#include "fcgi/access.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fcgi/app.h"
#include "fcgi/response.h"
#include "lib/chat/apikeys.h"

/* A request that waits. */
struct entrance {
    struct request      *request;       /* borrowed */
    enum access          need;
    access_fn           *handle;
    struct apikeys_call *asking;        /* in KEY */
    struct quota_grant  *grant;         /* in COUNT */
};

static void fail(struct request *r, enum err_code code, const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", why);
    response_error(r, &e);
}

/* The entrance ends; the request goes on without it. */
static struct request *leave(struct entrance *w)
{
    struct request *r = w->request;

    apikeys_cancel(w->asking);
    quota_end(w->grant, NULL);
    free(w);
    r->on_gone = NULL;
    r->arg = NULL;
    return r;
}

static void on_gone(void *arg)
{
    fail(leave(arg), ERR_CANCELLED, "the client has left");
}

static struct entrance *enter(struct request *r, enum access need, access_fn *handle)
{
    struct entrance *w = calloc(1, sizeof(*w));

    if (!w) {
        fail(r, ERR_INTERNAL, "out of memory");
        return NULL;
    }
    w->request = r;
    w->need = need;
    w->handle = handle;
    r->on_gone = on_gone;
    r->arg = w;
    return w;
}

/* --- COUNT -------------------------------------------------------------------------------------- */

static void on_counted(void *arg, const struct quota_state *state, const struct err *e)
{
    struct entrance *w = arg;
    access_fn *handle = w->handle;
    struct request *r = leave(w);

    access_headers(r, state);
    if (e)
        response_error(r, e);
    else
        handle(r);
}

static void count(struct request *r, access_fn *handle)
{
    struct entrance *w = enter(r, ACCESS_REQUEST, handle);

    if (!w)
        return;
    w->grant = quota_ask(r->app->quota, r->key, QUOTA_REQUEST, 0, on_counted, w);
    if (!w->grant)
        fail(leave(w), ERR_INTERNAL, "counting the request: out of memory");
    else if (!quota_pending(w->grant))
        handle(leave(w));
}

/* --- KEY ---------------------------------------------------------------------------------------- */

static void admit(struct request *r, struct apikey *key, enum access need, access_fn *handle)
{
    r->key = apikey_ref(key);
    r->tenant = r->key->tenant;
    if (need == ACCESS_REQUEST)
        count(r, handle);
    else
        handle(r);
}

static void on_key(void *arg, struct apikey *key, const struct err *e)
{
    struct entrance *w = arg;
    access_fn *handle = w->handle;
    enum access need = w->need;
    struct request *r;

    w->asking = NULL;
    r = leave(w);
    if (e)
        response_error(r, e);
    else
        admit(r, key, need, handle);
}

static void ask(struct request *r, const char *token, enum access need, access_fn *handle)
{
    struct entrance *w = enter(r, need, handle);

    if (!w)
        return;
    w->asking = apikeys_ask(r->app->apikeys, token, token ? strlen(token) : 0, on_key, w);
    if (!w->asking)
        fail(leave(w), ERR_INTERNAL, "looking the key up: out of memory");
}

/* NULL: no key was sent. */
static const char *token_of(const struct request *r)
{
    static const char bearer[] = "Bearer ";
    const char *sent = r->headers[HEADER_AUTHORIZATION];

    if (!sent || strncasecmp(sent, bearer, sizeof(bearer) - 1) != 0)
        return NULL;
    sent += sizeof(bearer) - 1;
    sent += strspn(sent, " ");
    return *sent ? sent : NULL;
}

void access_check(struct request *r, enum access need, access_fn *handle)
{
    const char *token = token_of(r);
    struct apikey *key = NULL;

    if (need == ACCESS_FREE) {
        handle(r);
        return;
    }
    switch (apikeys_known(r->app->apikeys, token, token ? strlen(token) : 0, &key)) {
    case APIKEYS_YES: admit(r, key, need, handle); break;
    case APIKEYS_NO:  fail(r, ERR_UNAUTHORIZED, "send Authorization: Bearer <key>"); break;
    case APIKEYS_ASK: ask(r, token, need, handle); break;
    }
}

/* --- the headers (draft-ietf-httpapi-ratelimit-headers-10) ---------------------------------------- */

void access_headers(struct request *r, const struct quota_state *state)
{
    static const struct { const char *name, *policy; bool resets; } policies[QUOTA_LIMITS] = {
        [QUOTA_REQUESTS] = { "requests", ";w=60", true },
        [QUOTA_TURNS] = { "turns", ";qu=\"concurrent-requests\"", false },
        [QUOTA_TOKENS] = { "tokens", ";w=86400;qu=\"tokens\"", true },
    };
    struct buf policy, left;

    buf_init(&policy, 512);
    buf_init(&left, 512);
    for (size_t i = 0; state && i < QUOTA_LIMITS; i++) {
        if (state->of[i].limit == 0)
            continue;
        buf_addf(&policy, "%s\"%s\";q=%" PRId64 "%s", policy.len ? ", " : "", policies[i].name,
                 state->of[i].limit, policies[i].policy);
        buf_addf(&left, "%s\"%s\";r=%" PRId64, left.len ? ", " : "", policies[i].name,
                 state->of[i].left);
        if (policies[i].resets)
            buf_addf(&left, ";t=%" PRId64, (state->of[i].reset_ms + 999) / 1000);
    }
    if (policy.len > 0) {
        response_header(r, "RateLimit-Policy", policy.data);
        response_header(r, "RateLimit", left.data);
    }
    buf_close(&policy);
    buf_close(&left);
}
