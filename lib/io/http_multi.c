#include "lib/io/http_multi.h"

#include <stdlib.h>
#include <string.h>

/* A socket that libcurl wants watched. */
struct watch {
    struct event       event;
    struct http_multi *multi;
};

static void run(struct http_multi *m, curl_socket_t fd, int what)
{
    int running;

    m->inside = true;
    curl_multi_socket_action(m->curl, fd, what, &running);
    m->inside = false;
    m->after(m->arg);       /* m may be gone */
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct watch *w = arg;

    run(w->multi, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) |
                      (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
    run(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wish(CURLM *curl, long ms, void *arg)
{
    struct http_multi *m = arg;

    (void)curl;
    if (ms < 0)
        timer_stop(&m->timer);
    else if (ms == 0 && m->adding)
        timer_set_soon(&m->timer);
    else
        timer_set(&m->timer, ms);
    return 0;
}

static int on_socket_wish(CURL *easy, curl_socket_t fd, int wish, void *arg, void *known)
{
    struct http_multi *m = arg;
    struct watch *w = known;
    short what = EV_PERSIST;

    (void)easy;
    if (w)
        event_del(&w->event);
    if (wish == CURL_POLL_REMOVE) {
        free(w);
        return 0;
    }
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w)
            return 0;   /* this transfer runs into its time limit; -1 would end all of them */
        w->multi = m;
        curl_multi_assign(m->curl, fd, w);
    }
    if (wish & CURL_POLL_IN)
        what |= EV_READ;
    if (wish & CURL_POLL_OUT)
        what |= EV_WRITE;
    event_assign(&w->event, loop_base(m->loop), fd, what, on_ready, w);
    event_add(&w->event, NULL);
    return 0;
}

bool multi_init(struct http_multi *m, struct loop *l, loop_fn *after, void *arg)
{
    memset(m, 0, sizeof *m);
    m->loop = l;
    m->after = after;
    m->arg = arg;
    timer_init(&m->timer, l, on_timer, m);
    m->curl = curl_multi_init();
    if (!m->curl)
        return false;
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    return true;
}

/* It begins in this turn of the loop. What goes on reading has to wait for the next one, or a fast
 * server would have the loop for itself. */
CURLMcode multi_add(struct http_multi *m, CURL *easy)
{
    CURLMcode rc;

    m->adding = true;
    rc = curl_multi_add_handle(m->curl, easy);
    m->adding = false;
    return rc;
}

/* 0 would mean libcurl's own idea of many. */
void multi_keep(struct http_multi *m, size_t connections)
{
    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, connections ? (long)connections : 1L);
}

void multi_close(struct http_multi *m)
{
    if (m->curl)
        curl_multi_cleanup(m->curl);
    timer_stop(&m->timer);
    m->curl = NULL;
}
