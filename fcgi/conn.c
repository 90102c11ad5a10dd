#include "fcgi/conn.h"

#include <errno.h>
#include <fastcgi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    OUT_MAX = 32 << 20,     /* a whole reply may wait: bounded by the largest answer, escaped */
    PARTS_MAX = 6,          /* that go out in one call, without a copy */
};

static void on_io(evutil_socket_t fd, short what, void *arg);

struct conn *conn_new(struct conns *set, int fd)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->set = set;
    c->fd = fd;
    buf_init(&c->out, OUT_MAX);
    event_assign(&c->io, set->base, fd, EV_READ | EV_PERSIST, on_io, c);
    c->next = set->first;
    if (c->next)
        c->next->prev = c;
    set->first = c;
    set->idle++;
    return c;
}

void conn_begin(struct conn *c, struct request *r, unsigned short fcgi_id, bool keep)
{
    c->state = CONN_OPEN;
    c->fcgi_id = fcgi_id;
    c->keep = keep;
    c->lagging = false;
    c->largest = 0;
    c->request = r;
    r->conn = c;
    c->set->idle--;
    c->set->count++;
}

static void conn_close(struct conn *c)
{
    if (c->fd < 0)
        return;
    event_del(&c->io);
    close(c->fd);
    c->fd = -1;
    buf_close(&c->out);
}

/* An idle one ends. */
static void conn_free(struct conn *c)
{
    struct conns *set = c->set;

    conn_close(c);
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        set->first = c->next;
    free(c);
    set->idle--;
    set->on_fewer(set->arg);
}

void conn_drop(struct conn *c)
{
    event_del(&c->io);
    c->fd = -1;
    conn_free(c);
}

/* Reading is always watched: nginx says that a client has left by closing the socket. */
static void watch(struct conn *c, bool writing)
{
    if (c->watched && c->writing == writing)
        return;
    event_del(&c->io);
    event_assign(&c->io, c->set->base, c->fd,
                 (short)(EV_READ | EV_PERSIST | (writing ? EV_WRITE : 0)), on_io, c);
    event_add(&c->io, NULL);
    c->watched = true;
    c->writing = writing;
}

void conn_watch(struct conn *c)
{
    if (c->state == CONN_OPEN)
        watch(c, c->writing);
}

/* The request has ended. Nothing of its response waits, or there is nobody to send it to. */
static void request_over(struct conn *c, bool keep)
{
    struct conns *set = c->set;

    set->on_over(c->request, set->arg);
    request_close(c->request);
    free(c->request);
    c->request = NULL;
    c->state = CONN_IDLE;
    set->count--;
    set->idle++;
    if (set->routed == c)
        set->routed = NULL;
    if (keep) {
        watch(c, false);
        set->on_fewer(set->arg);
    } else {
        conn_free(c);
    }
}

bool conn_gone(const struct conn *c)
{
    return c->state == CONN_LOST || c->state == CONN_GONE;
}

void conn_cut(struct conn *c)
{
    void (*told)(void *arg);

    if (c->state == CONN_GONE)
        return;
    conn_close(c);
    if (c->state == CONN_IDLE) {
        conn_free(c);
        return;
    }
    if (c->state == CONN_ENDED) {
        request_over(c, false);
        return;
    }
    c->state = CONN_GONE;
    told = c->request->on_gone;
    c->request->on_gone = NULL;
    c->request->on_drained = NULL;
    if (told)
        told(c->request->arg);
}

/* Found out while sending, when the handler is on the stack: tell it in the loop's next turn. */
static void lose(struct conn *c)
{
    c->state = CONN_LOST;
    event_del(&c->io);
    buf_close(&c->out);
    c->sent = 0;
    event_active(&c->io, EV_READ, 0);
}

static FCGI_Header header(const struct conn *c, unsigned char type, size_t len)
{
    return (FCGI_Header){
        .version = FCGI_VERSION_1, .type = type,
        .requestIdB1 = (unsigned char)(c->fcgi_id >> 8),
        .requestIdB0 = (unsigned char)c->fcgi_id,
        .contentLengthB1 = (unsigned char)(len >> 8), .contentLengthB0 = (unsigned char)len,
    };
}

/* The end of the stream and of the request, as every response closes. */
struct ending { FCGI_Header stdout_end; FCGI_EndRequestRecord request_end; };

static struct ending ending(const struct conn *c)
{
    return (struct ending){
        .stdout_end = header(c, FCGI_STDOUT, 0),
        .request_end.header = header(c, FCGI_END_REQUEST, sizeof(FCGI_EndRequestBody)),
        .request_end.body.protocolStatus = FCGI_REQUEST_COMPLETE,
    };
}

/* Never blocks. Bytes taken, 0 when there is no room now, -1 when the peer is gone. */
static ssize_t push(struct conn *c, struct iovec *iov, size_t count)
{
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = count };
    ssize_t n;

    do
        n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? 0 : n;
}

/* One piece that fits one record goes straight from its owner's memory to the socket; only
 * what finds no room is copied. */
static bool send_small(struct conn *c, const struct conn_part *parts, size_t count, size_t total,
                       bool last)
{
    FCGI_Header head = header(c, FCGI_STDOUT, total);
    struct ending end = ending(c);
    struct iovec iov[PARTS_MAX + 2];
    size_t n = 0, taken;
    ssize_t sent;

    if (total > 0) {            /* an empty record would end the stream */
        iov[n++] = (struct iovec){ &head, sizeof(head) };
        for (size_t i = 0; i < count; i++)
            iov[n++] = (struct iovec){ (void *)parts[i].bytes, parts[i].len };
    }
    if (last)
        iov[n++] = (struct iovec){ &end, sizeof(end) };
    sent = push(c, iov, n);
    if (sent < 0)
        return false;
    taken = (size_t)sent;
    for (size_t i = 0; i < n; i++) {
        size_t skip = taken < iov[i].iov_len ? taken : iov[i].iov_len;

        buf_add(&c->out, (char *)iov[i].iov_base + skip, iov[i].iov_len - skip);
        taken -= skip;
    }
    return buf_ok(&c->out);
}

static void queue_part(struct conn *c, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t n = len < FCGI_MAX_LENGTH ? len : FCGI_MAX_LENGTH;
        FCGI_Header head = header(c, FCGI_STDOUT, n);

        buf_add(&c->out, &head, sizeof(head));
        buf_add(&c->out, bytes, n);
        bytes += n;
        len -= n;
    }
}

/* As much of the queue as the socket takes. False: the peer is gone. */
static bool flush(struct conn *c)
{
    struct iovec iov = { c->out.data + c->sent, c->out.len - c->sent };
    ssize_t n = iov.iov_len > 0 ? push(c, &iov, 1) : 0;

    if (n < 0)
        return false;
    c->sent += (size_t)n;
    if (c->sent == c->out.len) {
        buf_close(&c->out);     /* at rest a stream holds no buffer */
        buf_init(&c->out, OUT_MAX);
        c->sent = 0;
        c->largest = 0;
    } else if (c->sent > c->out.len / 2) {
        buf_consume(&c->out, c->sent);
        c->sent = 0;
    }
    return true;
}

static bool send_queued(struct conn *c, const struct conn_part *parts, size_t count, bool last)
{
    struct ending end = ending(c);
    bool idle = c->out.len == 0;

    for (size_t i = 0; i < count; i++)
        queue_part(c, parts[i].bytes, parts[i].len);
    if (last)
        buf_add(&c->out, &end, sizeof(end));
    return buf_ok(&c->out) && (!idle || flush(c));
}

/* The handler is through: nobody is told anything any more. */
static void become_tail(struct conn *c)
{
    c->state = CONN_ENDED;
    c->lagging = false;
    request_drop_body(c->request);
}

size_t conn_send(struct conn *c, const struct conn_part *parts, size_t count, bool last)
{
    size_t total = 0, waiting;
    bool ok;

    if (conn_gone(c)) {
        if (last)
            request_over(c, false);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        total += parts[i].len;
    ok = c->out.len == 0 && total <= FCGI_MAX_LENGTH && count <= PARTS_MAX
             ? send_small(c, parts, count, total, last)
             : send_queued(c, parts, count, last);
    waiting = c->out.len - c->sent;
    c->largest = total > c->largest ? total : c->largest;
    if (last && (!ok || waiting == 0)) {
        request_over(c, ok && c->keep);
        return 0;
    }
    /* One piece may be larger than any limit: nobody could have held it back. */
    if (!ok || (!last && waiting > c->set->max_unsent + c->largest)) {
        lose(c);
        return 0;
    }
    if (last)
        become_tail(c);
    if (waiting > 0)
        watch(c, true);
    return waiting;
}

void conn_lags(struct conn *c)
{
    c->lagging = c->state == CONN_OPEN;
}

/* Until the response is out nginx says nothing more: it closes. Other servers may send an abort. */
static bool left(struct conn *c)
{
    unsigned char trash[256];
    ssize_t n;

    do
        n = recv(c->fd, trash, sizeof(trash), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 1)
        return trash[0] == FCGI_VERSION_1 && trash[1] == FCGI_ABORT_REQUEST;
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    size_t waiting;

    (void)fd;
    if (c->state == CONN_IDLE) {
        c->set->on_speaks(c, c->set->arg);
        return;
    }
    if (c->state == CONN_LOST || ((what & EV_READ) && left(c))) {
        conn_cut(c);
        return;
    }
    if (!(what & EV_WRITE))
        return;
    if (!flush(c)) {
        conn_cut(c);
        return;
    }
    waiting = c->out.len - c->sent;
    if (waiting == 0 && c->state == CONN_ENDED) {
        request_over(c, c->keep);
        return;
    }
    watch(c, waiting > 0);
    if (c->lagging && waiting <= c->set->max_unsent / 4) {
        void (*told)(void *) = c->request->on_drained;

        c->lagging = false;
        if (told)
            told(c->request->arg);
    }
}
