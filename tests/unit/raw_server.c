#include "tests/unit/raw_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 16 << 20 };

struct peer {
    struct raw_server       *server;
    struct peer             *next;
    int                      fd;            /* -1: hung up */
    struct event             readable;
    struct timer             writing;
    struct buf               in;
    const struct raw_answer *answer;        /* under way, or NULL */
    size_t                   sent;          /* of it */
};

struct raw_server {
    struct loop             *loop;
    int                      listener;
    struct event             acceptable;
    char                     url[64];
    const struct raw_answer *answers;
    size_t                   count, sent;
    int                      requests, connections, hangups;
    struct peer             *peers;
    struct buf               heard;
};

static void hang_up(struct peer *p)
{
    if (p->fd < 0)
        return;
    event_del(&p->readable);
    timer_stop(&p->writing);
    close(p->fd);
    p->fd = -1;
}

static void answer_ended(struct peer *p)
{
    const struct linger at_once = { 1, 0 };
    const struct raw_answer *a = p->answer;

    p->answer = NULL;
    if (a->reset)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (a->reset || a->close)
        hang_up(p);
}

static void on_writing(void *arg)
{
    struct peer *p = arg;
    const struct raw_answer *a = p->answer;
    size_t len = a->len ? a->len : strlen(a->bytes);
    size_t piece = len - p->sent;
    ssize_t n;

    if (a->piece && piece > a->piece)
        piece = a->piece;
    n = send(p->fd, a->bytes + p->sent, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        p->answer = NULL;
        return;
    }
    if (n > 0) {
        p->sent += (size_t)n;
        p->server->sent += (size_t)n;
    }
    if (p->sent == len && a->for_ever)
        p->sent = 0;
    if (p->sent == len)
        answer_ended(p);
    else
        timer_set(&p->writing, n < 0);
}

static void answer(struct peer *p)
{
    struct raw_server *s = p->server;
    size_t i = (size_t)s->requests < s->count ? (size_t)s->requests : s->count - 1;

    p->answer = &s->answers[i];
    p->sent = 0;
    s->requests++;
    timer_set(&p->writing, 0);
}

/* Bytes of the first request in p->in, 0 while it is not whole. */
static size_t request_len(const struct peer *p)
{
    const char *end = strstr(p->in.data, "\r\n\r\n");
    const char *length = strcasestr(p->in.data, "\r\nContent-Length: ");
    size_t body = end && length && length < end ? strtoul(length + 18, NULL, 10) : 0;
    size_t len = end ? (size_t)(end + 4 - p->in.data) + body : 0;
    size_t next = (size_t)p->server->requests;

    if (end && p->server->answers[next < p->server->count ? next : p->server->count - 1].early)
        return p->in.len;
    return p->in.len >= len ? len : 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    size_t len;

    (void)what;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        p->server->hangups++;
        hang_up(p);
        return;
    }
    buf_add(&p->in, bytes, (size_t)n);
    while (p->fd >= 0 && !p->answer && (len = request_len(p)) > 0) {
        buf_clear(&p->server->heard);
        buf_add(&p->server->heard, p->in.data, len);
        buf_consume(&p->in, len);
        buf_trim(&p->in);
        answer(p);
    }
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct raw_server *s = arg;
    struct peer *p = calloc(1, sizeof *p);

    (void)what;
    p->server = s;
    p->fd = accept(fd, NULL, NULL);
    p->next = s->peers;
    s->peers = p;
    s->connections++;
    buf_init(&p->in, REQUEST_MAX);
    timer_init(&p->writing, s->loop, on_writing, p);
    event_assign(&p->readable, loop_base(s->loop), p->fd, EV_READ | EV_PERSIST, on_readable, p);
    event_add(&p->readable, NULL);
}

struct raw_server *raw_server_start(struct loop *l, const struct raw_answer *answers, size_t count)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    struct raw_server *s = calloc(1, sizeof *s);

    s->loop = l;
    s->answers = answers;
    s->count = count;
    buf_init(&s->heard, REQUEST_MAX);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(s->listener, 4096), 0);
    ck_assert_int_eq(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/x", ntohs(at.sin_port));
    event_assign(&s->acceptable, loop_base(l), s->listener, EV_READ | EV_PERSIST, on_acceptable, s);
    event_add(&s->acceptable, NULL);
    return s;
}

void raw_server_stop(struct raw_server *s)
{
    if (!s)
        return;
    while (s->peers) {
        struct peer *p = s->peers;

        s->peers = p->next;
        hang_up(p);
        buf_close(&p->in);
        free(p);
    }
    event_del(&s->acceptable);
    close(s->listener);
    buf_close(&s->heard);
    free(s);
}

const char *raw_server_url(const struct raw_server *s)
{
    return s->url;
}

const int *raw_server_requests(const struct raw_server *s)
{
    return &s->requests;
}

const int *raw_server_connections(const struct raw_server *s)
{
    return &s->connections;
}

const int *raw_server_hangups(const struct raw_server *s)
{
    return &s->hangups;
}

size_t raw_server_sent(const struct raw_server *s)
{
    return s->sent;
}

const struct buf *raw_server_heard(const struct raw_server *s)
{
    return &s->heard;
}
