#include "lib/io/http_plain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    RECEIVE = 16 << 10,         /* at once; then others have their turn */
    CARRY_MAX = HTTP_HEADERS_MAX + RECEIVE,
};

/* A connection. */
struct plain {
    struct list        link;    /* in its site's idle ones; alone while it serves */
    struct http       *http;
    struct http_call  *call;    /* whom it serves; NULL: it is idle */
    struct event       event;
    short              watched; /* what for */
    int                fd;      /* owned */
    bool               used;    /* has served another call before */
    bool               heard;   /* something of the answer */
    bool               deaf;    /* takes no more of the request */
    size_t             total, sent;     /* bytes of the request */
    struct buf         carry;   /* of the answer: a line's beginning, or what a pause held up */
    struct http_frame  frame;
};

static void on_ready(evutil_socket_t fd, short what, void *arg);

/* Requests */

bool plain_prepare(struct http_call *c, const struct http_request *q, const char *path,
                   const struct http_headers *headers)
{
    struct buf *head = &c->head;
    const char *host = c->site->url + strlen("http://");

    buf_init(head, HTTP_HEADERS_MAX);
    buf_adds(head, q->method);
    buf_addc(head, ' ');
    buf_adds(head, path);
    buf_adds(head, " HTTP/1.1\r\nHost: ");
    buf_add(head, host, strlen(host) - 1);
    if (c->http->user_agent) {
        buf_adds(head, "\r\nUser-Agent: ");
        buf_adds(head, c->http->user_agent);
    }
    buf_adds(head, "\r\n");
    http_headers_add(head, headers);
    if (c->has_body)
        buf_addf(head, "Content-Length: %zu\r\n", c->body_len);
    buf_adds(head, "\r\n");
    return buf_ok(head);
}

bool plain_has_sent(const struct plain *p)
{
    return p->deaf || p->sent == p->total;
}

/* As much as the socket takes. That the server hears no more shows when we read. */
static void send_more(struct plain *p)
{
    const struct buf *head = &p->call->head;

    while (!plain_has_sent(p)) {
        size_t of_head = p->sent < head->len ? p->sent : head->len, of_body = p->sent - of_head;
        struct iovec parts[2] = {
            { head->data + of_head, head->len - of_head },
            { p->call->body + of_body, p->call->body_len - of_body },
        };
        struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
        ssize_t n = sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0)
            p->sent += (size_t)n;
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR)
            p->deaf = true;
    }
}

/* Connections */

/* An idle one is watched for its end; one whose reader is paused only for room. */
static void watch(struct plain *p)
{
    short what = 0;

    if (!p->call || !p->call->held)
        what |= EV_READ;
    if (p->call && !plain_has_sent(p))
        what |= EV_WRITE;
    if (what == p->watched)
        return;
    event_del(&p->event);
    p->watched = what;
    if (!what)
        return;
    event_assign(&p->event, loop_base(p->http->multi.loop), p->fd, (short)(what | EV_PERSIST),
                 on_ready, p);
    event_add(&p->event, NULL);
}

static void serve(struct plain *p, struct http_call *c)
{
    p->call = c;
    p->total = c->head.len + c->body_len;
    p->sent = 0;
    p->heard = p->deaf = false;
    p->frame = (struct http_frame){ .bodyless = c->bodyless };
    c->plain = p;
    send_more(p);
    watch(p);
}

bool plain_reuse(struct http_call *c)
{
    struct plain *p;

    if (list_empty(&c->site->idle))
        return false;
    p = list_owner(c->site->idle.prev, struct plain, link);
    list_take(&p->link);
    c->http->idle--;
    p->used = true;
    serve(p, c);
    return true;
}

bool plain_begin(struct http_call *c, int fd)
{
    struct plain *p = calloc(1, sizeof(*p));

    if (!p) {
        close(fd);
        return false;
    }
    p->http = c->http;
    p->fd = fd;
    list_init(&p->link);
    buf_init(&p->carry, CARRY_MAX);
    event_assign(&p->event, loop_base(c->http->multi.loop), fd, 0, on_ready, p);
    serve(p, c);
    return true;
}

void plain_close(struct plain *p)
{
    if (!p)
        return;
    if (!p->call)
        p->http->idle--;
    list_take(&p->link);
    event_del(&p->event);
    close(p->fd);
    buf_close(&p->carry);
    free(p);
}

void plain_close_idle(struct plain_site *s)
{
    while (!list_empty(&s->idle))
        plain_close(list_owner(s->idle.next, struct plain, link));
}

void plain_release(struct http_call *c)
{
    struct plain *p = c->plain;
    struct http *h = c->http;
    bool again = p->frame.phase == FRAME_OVER && !p->frame.closes &&
                 p->sent == p->total && p->carry.len == 0 && h->idle < (size_t)h->max_idle;

    if (!again)
        return;     /* it is closed with the call */
    c->plain = NULL;
    p->call = NULL;
    h->idle++;
    list_push(&c->site->idle, &p->link);
    watch(p);
}

/* Answers */

struct http_frame *plain_frame(struct plain *p)
{
    return &p->frame;
}

static void fail(struct http_call *c, const char *text)
{
    http_fail(c, ERR_UPSTREAM, text);
}

static bool goes_on(const struct http_call *c)
{
    return c->state == HTTP_RUNNING && c->problem == ERR_OK;
}

/* A pause is of the body. */
static bool waits(const struct plain *p)
{
    return p->call->paused && p->frame.phase != FRAME_HEAD;
}

/* Returns its length; 0: it has no end yet. */
static size_t take_line(struct plain *p, const char *line, size_t len)
{
    struct http_call *c = p->call;
    const char *end = memchr(line, '\n', len);
    bool head = p->frame.phase == FRAME_HEAD;

    if (!end && len > HTTP_HEADERS_MAX)
        fail(c, "a line is longer than 64 KiB");
    if (!end)
        return 0;
    len = (size_t)(end + 1 - line);
    if (head && strncmp(line, "HTTP/", 5) == 0)
        frame_begin(&p->frame, line);
    if ((head || p->frame.phase == FRAME_TRAILER) && !http_answer_line(c, line, len))
        return len;
    if (head && !c->line_status)
        fail(c, "the answer is not HTTP");
    else if (head && c->status)
        frame_head_ends(&p->frame, c->status);
    else if (!head && !frame_line(&p->frame, line, len))
        fail(c, "the answer is not as HTTP has it");
    return len;
}

static size_t take_body(struct plain *p, const char *bytes, size_t len)
{
    size_t part = frame_part(&p->frame, len);

    if (http_answer_body(p->call, bytes, part))
        frame_passed(&p->frame, part);
    return part;
}

/* What is left begins a line, or waits for the end of a pause. */
static size_t take(struct plain *p, const char *bytes, size_t len)
{
    struct http_call *c = p->call;
    size_t at = 0, n = 1;

    while (n > 0 && at < len && goes_on(c) && !waits(p) && p->frame.phase != FRAME_OVER) {
        n = frame_in_body(&p->frame) ? take_body(p, bytes + at, len - at)
                                     : take_line(p, bytes + at, len - at);
        at += n;
    }
    if (at < len && waits(p))
        c->held = true;
    return at;
}

static void take_carried(struct plain *p)
{
    buf_consume(&p->carry, take(p, p->carry.data, p->carry.len));
    if (p->carry.len == 0)
        buf_trim(&p->carry);
}

static void connection_ends(struct plain *p, bool orderly)
{
    struct http_call *c = p->call;

    if (orderly && p->frame.phase == FRAME_UNTIL_CLOSE)
        p->frame.phase = FRAME_OVER;
    else if (p->used && !p->heard)
        c->again = true;
    else if (p->heard)
        fail(c, orderly ? "the answer was cut" : "the connection was reset within the answer");
    else
        fail(c, orderly ? "the connection was closed without an answer"
                        : "the connection was reset before an answer");
}

static void receive(struct plain *p)
{
    char bytes[RECEIVE];
    ssize_t n;
    size_t used = 0;

    if (waits(p)) {
        p->call->held = true;       /* the kernel has it, and holds the sender up in time */
        return;
    }
    n = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        connection_ends(p, n == 0);
        return;
    }
    p->heard = true;
    if (p->carry.len == 0)
        used = take(p, bytes, (size_t)n);
    if (used == (size_t)n)
        return;
    if (!buf_add(&p->carry, bytes + used, (size_t)n - used))
        fail(p->call, "a line is longer than 64 KiB");
    else if (used == 0)
        take_carried(p);
}

/* What has become of it; nothing of it is freed before http_ran. */
static void look_back(struct plain *p)
{
    struct http_call *c = p->call;

    if (c->state != HTTP_RUNNING)
        return;
    if (c->again || c->problem != ERR_OK || p->frame.phase == FRAME_OVER)
        call_has_ended(c);
    else
        watch(p);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct plain *p = arg;
    struct http *h = p->http;

    (void)fd;
    if (!p->call) {         /* it was closed; or says what nobody has asked for */
        plain_close(p);
        return;
    }
    h->inside = true;
    if (what & EV_WRITE)
        send_more(p);
    if (what & EV_READ)
        receive(p);
    look_back(p);
    h->inside = false;
    http_ran(h);
}

void plain_continue(struct http_call *c)
{
    struct plain *p = c->plain;
    struct http *h = c->http;

    c->held = false;
    h->inside = true;
    take_carried(p);
    look_back(p);
    h->inside = false;
}
