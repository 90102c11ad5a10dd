/* Where calls come from and where they go, and the http that they belong to. */
#include <stdlib.h>
#include <string.h>

#include "lib/io/http_call.h"
#include "lib/io/http_plain.h"

/* Each is some ten KiB. */
enum { SPARE_MAX = 32 };

/* What libcurl looks for, when it is asked for a URL in the clear. */
static bool is_proxied(void)
{
    static const char *const names[] = { "http_proxy", "all_proxy", "ALL_PROXY" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]) && *getenv(names[i]))
            return true;
    return false;
}

static void after_curl(void *arg)
{
    http_ran(arg);
}

struct http *http_new(struct loop *l, const struct http_options *o)
{
    struct http *h = calloc(1, sizeof *h);

    if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return NULL;
    }
    list_init(&h->sites);
    list_init(&h->calls);
    list_init(&h->dead);
    list_init(&h->due);
    list_init(&h->ended);
    list_init(&h->spare);
    h->proxied = is_proxied();
    timer_init(&h->doing, l, http_do_due, h);
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

struct http_call *http_call_new(struct http *h)
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

void call_forget_request(struct http_call *c)
{
    if (c->body && c->easy)
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, NULL);
    if (c->headers && c->easy)
        curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    http_headers_free(c->headers);
    free(c->body);
    explicit_bzero(c->head.data, c->head.len);      /* there may be a key in it */
    buf_close(&c->head);
    c->headers = NULL;
    c->body = NULL;
}

void http_call_free(struct http_call *c)
{
    struct http *h = c->http;

    list_take(&c->link);
    list_take(&c->due);
    timer_stop(&c->timer);
    plain_close(c->plain);
    if (c->easy)
        curl_multi_remove_handle(h->multi.curl, c->easy);
    call_forget_request(c);
    if (c->easy && c->well && h->spare_count < SPARE_MAX && !h->closed) {
        h->spare_count++;
        list_push(&h->spare, &c->link);
        return;
    }
    curl_easy_cleanup(c->easy);
    free(c);
}

void http_call_end(struct http_call *c)
{
    if (c->state != HTTP_OVER)
        c->http->count--;
    c->state = HTTP_OVER;
    timer_stop(&c->timer);
    list_take(&c->due);
}

void http_call_free_dead(struct http *h)
{
    while (!list_empty(&h->dead))
        http_call_free(list_owner(h->dead.next, struct http_call, link));
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

void http_free(struct http *h)
{
    if (!h)
        return;
    h->closed = true;
    while (!list_empty(&h->calls)) {
        struct http_call *c = list_owner(h->calls.next, struct http_call, link);

        http_call_end(c);
        list_take(&c->link);
        list_push(&h->dead, &c->link);
    }
    if (http_is_inside(h) || h->busy)
        return;
    http_call_free_dead(h);
    free_spare(h);
    plain_free_sites(h);
    timer_stop(&h->doing);
    multi_close(&h->multi);
    curl_share_cleanup(h->share);
    buf_close(&h->line);
    free(h->ca_file);
    free(h->user_agent);
    free(h);
    curl_global_cleanup();
}
