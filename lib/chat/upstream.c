#include "lib/chat/upstream_call.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>


enum { TEXT_MAX = 8192, MAX_IDLE = 64 };

/* What goes into a header line must not be able to end it. */
static bool is_printable(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

static bool is_temperature(const char *s)
{
    char  *end;
    double n = strtod(s, &end);

    return !*s || (end != s && !*end && isfinite(n) && n >= 0);
}

static enum err_code check(const struct model_settings *s, struct err *e)
{
    const char *base = s->base_url;

    if ((strncasecmp(base, "http://", 7) != 0 && strncasecmp(base, "https://", 8) != 0)
        || !is_printable(base))
        return err_set(e, ERR_INVALID, "the model's base URL is not an http(s) URL");
    if (!is_printable(s->api_key))
        return err_set(e, ERR_INVALID, "the model's key holds a space or a control character");
    if (!s->auth_header[0] || !is_printable(s->auth_header)
        || strchr(s->auth_header, ':'))
        return err_set(e, ERR_INVALID, "the model's auth_header is not the name of a header");
    if (!is_temperature(s->temperature))
        return err_set(e, ERR_INVALID, "the model's temperature is not a number");
    return ERR_OK;
}

/* NULL: out of memory, or it is none. */
static struct http_url *url(const struct model_settings *s)
{
    struct http_url *made = NULL;
    struct buf out;

    buf_init(&out, TEXT_MAX);
    if (openai_url(&out, s->base_url))
        made = http_url_new(out.data);
    buf_close(&out);
    return made;
}

/* NULL: out of memory, or the key is too long. */
static struct http_headers *headers(const struct model_settings *s)
{
    const char *name = s->auth_header;
    bool        bearer = strcasecmp(name, "Authorization") == 0;
    struct http_headers *made = NULL;
    struct buf  auth;

    buf_init(&auth, TEXT_MAX);
    buf_addf(&auth, "%s: %s%s", name, bearer ? "Bearer " : "", s->api_key);
    if (buf_ok(&auth)) {
        made = http_headers_new((const char *const[]){
            "Content-Type: application/json", "Accept: text/event-stream", "User-Agent: confab",
            s->api_key[0] ? auth.data : NULL, NULL });
        explicit_bzero(auth.data, auth.len);
    }
    buf_close(&auth);
    return made;
}

/* Without the user and the query of the URL: both may hold a secret. */
static char *description(const struct model_settings *s)
{
    const char *base = s->base_url;
    const char *host = strstr(base, "://") + 3;
    const char *at = memrchr(host, '@', strcspn(host, "/?#"));
    struct buf  out;

    buf_init(&out, TEXT_MAX);
    buf_addf(&out, "%s at ", s->name);
    buf_add(&out, base, (size_t)(host - base));
    host = at ? at + 1 : host;
    buf_add(&out, host, strcspn(host, "?#"));
    return buf_ok(&out) ? buf_steal(&out, NULL) : (buf_close(&out), NULL);
}

static struct http *http(struct loop *l, const struct model_settings *s)
{
    struct http_options o = {
        .connect_timeout = s->connect_timeout,
        .max_idle = MAX_IDLE,
        .small_buffers = true,
        .ca_file = s->ca_file,
    };

    return http_new(l, &o);
}

enum err_code upstream_new(struct loop *l, const struct model_settings *s, struct upstream **out,
                           struct err *e)
{
    struct upstream *u;

    *out = NULL;
    if (check(s, e) != ERR_OK)
        return ERR_INVALID;
    u = calloc(1, sizeof(*u));
    if (!u)
        return err_set(e, ERR_INTERNAL, "out of memory");
    u->loop = l;
    u->settings = s;
    buf_init(&u->text, (size_t)s->max_answer);
    u->url = url(s);
    u->headers = headers(s);
    u->description = description(s);
    u->http = http(l, s);
    if (!u->url || !u->description || !u->http || !u->headers) {
        upstream_free(u);
        return err_set(e, ERR_INTERNAL, "out of memory, or the model's URL or key cannot be used");
    }
    *out = u;
    return ERR_OK;
}

void upstream_free(struct upstream *u)
{
    if (!u)
        return;
    http_free(u->http);
    http_headers_free(u->headers);
    http_url_free(u->url);
    free(u->description);
    buf_close(&u->text);
    free(u);
}

const char *upstream_model(const struct upstream *u)
{
    return u->settings->name;
}

const char *upstream_describe(const struct upstream *u)
{
    return u->description;
}
