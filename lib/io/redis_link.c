#include "lib/io/redis_link.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/io/redis_wire.h"

enum { REST_FIRST_MS = 50, REST_MAX_MS = 1000, SERVED_MS = 1000, LOOK_MS = 2000 };
/* A turn of the loop may be long, and then the answers to thousands of calls wait. */
enum { READ_BYTES = 32 << 10, READS_PER_TURN = 16, OUT_KEPT = 256 << 10 };
enum greeting { GREET_AUTH, GREET_NAME, GREET_SELECT, GREET_ROLE, GREET_PING };

/* In the order in which they run. */
static void on_timer(void *arg);
static void begin(struct redis_link *k);
static void on_found(void *arg, const char *host, int port, const char *problem);
static void reach(struct redis_link *k);
static void on_resolved(void *arg, const struct address *found, const char *problem);
static void connect_to(struct redis_link *k);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void greet(struct redis_link *k);
static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_greeting(struct redis_link *k, const redisReply *reply);
static void look(struct redis_link *k);
static void on_seen(void *arg, const char *host, int port, const char *problem);

struct redis_link *link_new(struct loop *l, struct redis_url *url, const struct redis_options *o,
                            const struct link_handlers *on, void *arg)
{
    const char *name = o->name ? o->name : "";
    struct redis_link *k = calloc(1, sizeof *k);
    char *copy = strdup(name);

    if (!k || !copy) {
        free(k);
        free(copy);
        redis_url_close(url);
        return NULL;
    }
    k->loop = l;
    k->on = on;
    k->arg = arg;
    k->url = *url;
    k->name = copy;
    k->fd = -1;
    k->connect_timeout = o->connect_timeout;
    k->seed = (unsigned)clock_us() ^ (unsigned)getpid();
    snprintf(k->why, sizeof k->why, "not connected yet");
    log_prefix(&k->log, "redis=%s", name);
    buf_init(&k->out, LINK_OUT_MAX);
    timer_init(&k->timer, l, on_timer, k);
    k->state = LINK_BEGIN;
    timer_set(&k->timer, 0);
    return k;
}

static void disconnect(struct redis_link *k)
{
    timer_stop(&k->timer);
    sentinel_cancel(k->seeking);
    resolve_cancel(k->lookup);
    k->seeking = NULL;
    k->lookup = NULL;
    if (k->fd >= 0) {
        event_del(&k->readable);
        event_del(&k->writable);
        event_del(&k->flushing);
        close(k->fd);
        k->fd = -1;
    }
    if (k->reader) {
        redisReaderFree(k->reader);
        k->reader = NULL;
    }
    buf_close(&k->out);
    buf_init(&k->out, LINK_OUT_MAX);
    k->out_sent = 0;
}

void link_free(struct redis_link *k)
{
    if (!k)
        return;
    disconnect(k);
    k->closed = true;
    if (k->busy)
        return;
    buf_close(&k->out);
    redis_url_close(&k->url);
    free(k->name);
    free(k);
}

bool link_is_pending(const struct redis_link *k)
{
    return k->state != LINK_UP && k->state != LINK_REST;
}

/* 0 after a connection that served; a server that accepts and hangs up at once is given a rest. */
static int64_t next_rest(struct redis_link *k)
{
    if (k->state == LINK_UP && clock_ms() - k->up_at >= SERVED_MS) {
        k->rest = 0;
        return 0;
    }
    k->rest = k->rest ? k->rest * 2 : REST_FIRST_MS;
    if (k->rest > REST_MAX_MS)
        k->rest = REST_MAX_MS;
    return k->rest - rand_r(&k->seed) % (k->rest / 4);  /* children must not come in step */
}

void link_fail(struct redis_link *k, const char *fmt, ...)
{
    char why[sizeof k->why];
    int64_t rest = next_rest(k);
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    if (!k->quiet && (k->state == LINK_UP || strcmp(why, k->why) != 0))
        log_warn(&k->log, "redis state=away why=\"%s\"", why);
    memcpy(k->why, why, sizeof why);
    disconnect(k);
    k->state = rest ? LINK_REST : LINK_BEGIN;
    timer_set(&k->timer, rest);
    k->on->on_down(k->arg);
}

static void on_timer(void *arg)
{
    struct redis_link *k = arg;

    if (k->state == LINK_BEGIN || k->state == LINK_REST)
        begin(k);
    else if (k->state == LINK_UP)
        look(k);
    else
        link_fail(k, "no connection within %lld ms", (long long)k->connect_timeout);
}

/* Each try asks another sentinel first: one that is cut off may tell of a master that was. */
static void begin(struct redis_link *k)
{
    k->tries++;
    if (!k->url.master) {
        reach(k);
        return;
    }
    k->state = LINK_SEEK;
    k->seeking = sentinel_ask(k->loop, &k->url, k->asked++, k->connect_timeout, on_found, k);
    if (!k->seeking)
        link_fail(k, "no memory to ask the sentinels");
}

static void on_found(void *arg, const char *host, int port, const char *problem)
{
    struct redis_link *k = arg;

    k->seeking = NULL;
    if (host) {
        free(k->url.host);
        k->url.host = strdup(host);
        k->url.port = port;
    }
    if (problem)
        link_fail(k, "%s", problem);
    else if (!k->url.host)
        link_fail(k, "no memory for the master's name");
    else
        reach(k);
}

static void reach(struct redis_link *k)
{
    timer_set(&k->timer, k->connect_timeout);
    if (k->url.path || address_from_digits(k->url.host, k->url.port, &k->address)) {
        connect_to(k);
        return;
    }
    k->state = LINK_RESOLVE;
    k->lookup = resolve_begin(k->loop, k->url.host, k->url.port, k->tries - 1, on_resolved, k);
    if (!k->lookup)
        link_fail(k, "no memory to resolve %s", k->url.host);
}

static void on_resolved(void *arg, const struct address *found, const char *problem)
{
    struct redis_link *k = arg;

    k->lookup = NULL;
    if (!found) {
        link_fail(k, "resolving %s: %s", k->url.host, problem);
        return;
    }
    k->address = *found;
    connect_to(k);
}

static int open_socket(struct redis_link *k)
{
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    int family = k->url.path ? AF_UNIX : k->address.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc;

    if (fd < 0)
        return -1;
    if (k->url.path) {
        strcpy(path.sun_path, k->url.path);     /* its length was checked with the URL */
        rc = connect(fd, (struct sockaddr *)&path, sizeof path);
    } else {
        rc = connect(fd, &k->address.any, k->address.len);
    }
    if (rc == 0 || errno == EINPROGRESS)
        return fd;
    rc = errno;
    close(fd);
    errno = rc;
    return -1;
}

/* Small commands leave at once, and a host that vanished is noticed on an idle connection too. */
static void tune(int fd)
{
    const struct { int level, name, value; } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },    { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, 15 },  { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
        { IPPROTO_TCP, TCP_KEEPCNT, 3 },
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static void connect_to(struct redis_link *k)
{
    struct event_base *base = loop_base(k->loop);

    k->state = LINK_CONNECT;
    k->fd = open_socket(k);
    if (k->fd < 0) {
        link_fail(k, "connecting: %s", strerror(errno));
        return;
    }
    event_assign(&k->readable, base, k->fd, EV_READ | EV_PERSIST, on_readable, k);
    event_assign(&k->writable, base, k->fd, EV_WRITE, on_writable, k);
    event_assign(&k->flushing, base, -1, EV_WRITE, on_writable, k);
    k->reader = redisReaderCreate();
    if (!k->reader || event_add(&k->readable, NULL) < 0 || event_add(&k->writable, NULL) < 0) {
        link_fail(k, "no memory for a connection");
        return;
    }
    if (!k->url.path)
        tune(k->fd);
}

static void add_greeting(struct redis_link *k, enum greeting what, const char *const *words)
{
    wire_add(&k->out, words);
    k->greeting[k->greetings++] = what;
}

/* PING comes last: a server that is still loading its data, or may not serve, says so now. */
static void greet(struct redis_link *k)
{
    char db[16];

    k->state = LINK_GREET;
    k->greeted = k->greetings = 0;
    if (k->url.user)
        add_greeting(k, GREET_AUTH,
                     (const char *[]){ "AUTH", k->url.user, k->url.password, NULL });
    else if (k->url.password)
        add_greeting(k, GREET_AUTH, (const char *[]){ "AUTH", k->url.password, NULL });
    if (k->name[0])
        add_greeting(k, GREET_NAME, (const char *[]){ "CLIENT", "SETNAME", k->name, NULL });
    if (k->url.db) {
        snprintf(db, sizeof db, "%d", k->url.db);
        add_greeting(k, GREET_SELECT, (const char *[]){ "SELECT", db, NULL });
    }
    if (k->url.master)
        add_greeting(k, GREET_ROLE, (const char *[]){ "ROLE", NULL });
    add_greeting(k, GREET_PING, (const char *[]){ "PING", NULL });
    if (buf_ok(&k->out))
        link_flush(k);
    else
        link_fail(k, "no memory to log in");
}

static const char *role_of(const redisReply *reply)
{
    return redis_reply_text(redis_reply_at(reply, 0)).s;
}

static void on_greeting(struct redis_link *k, const redisReply *reply)
{
    enum greeting what = k->greeting[k->greeted++];
    enum err_code fault = wire_fault(reply);

    /* A name that the server does not like, or a user who may not PING, stops nobody. */
    if (fault == ERR_STORE || (fault != ERR_OK && (what == GREET_AUTH || what == GREET_SELECT))) {
        link_fail(k, "%s", reply->str);
        return;
    }
    if (what == GREET_ROLE && fault == ERR_OK && strcmp(role_of(reply), "master") != 0) {
        link_fail(k, "%s:%d is not the master", k->url.host, k->url.port);
        return;
    }
    if (k->greeted < k->greetings)
        return;
    timer_stop(&k->timer);
    k->state = LINK_UP;
    k->up_at = clock_ms();
    k->doubted = false;
    if (k->url.master)
        timer_set(&k->timer, LOOK_MS);
    if (k->url.master)
        log_info(&k->log, "redis state=up master=%s:%d", k->url.host, k->url.port);
    else if (!k->quiet)
        log_info(&k->log, "redis state=up");
    k->on->on_up(k->arg);
}

static void look(struct redis_link *k)
{
    k->seeking = sentinel_ask(k->loop, &k->url, k->asked++, k->connect_timeout, on_seen, k);
    if (!k->seeking)
        timer_set(&k->timer, LOOK_MS);
}

/* One sentinel alone may be cut off itself. */
static void on_seen(void *arg, const char *host, int port, const char *problem)
{
    struct redis_link *k = arg;
    bool another = !problem && (strcmp(host, k->url.host) != 0 || port != k->url.port);

    k->seeking = NULL;
    if (another && k->doubted) {
        link_fail(k, "%s:%d is not the master any more, but %s:%d", k->url.host, k->url.port, host,
                  port);
        return;
    }
    k->doubted = another;
    timer_set(&k->timer, another ? 0 : LOOK_MS);
}

void link_flush(struct redis_link *k)
{
    if (!event_pending(&k->writable, EV_WRITE, NULL))
        event_active(&k->flushing, EV_WRITE, 0);
}

static void send_out(struct redis_link *k)
{
    while (k->out_sent < k->out.len) {
        ssize_t n = send(k->fd, k->out.data + k->out_sent, k->out.len - k->out_sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_add(&k->writable, NULL);
            return;
        }
        if (n < 0) {
            link_fail(k, "writing: %s", strerror(errno));
            return;
        }
        k->out_sent += (size_t)n;
    }
    k->out_sent = 0;
    buf_clear(&k->out);
    if (k->out.cap > OUT_KEPT)
        buf_trim(&k->out);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_link *k = arg;
    int problem = 0;
    socklen_t len = sizeof problem;

    (void)fd;
    (void)what;
    if (k->state != LINK_CONNECT) {
        send_out(k);
        return;
    }
    getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &problem, &len);
    if (problem)
        link_fail(k, "connecting: %s", strerror(problem));
    else
        greet(k);
}

struct redisReply *link_keep_reply(struct redis_link *k)
{
    struct redisReply *reply = k->reply;

    k->reply = NULL;
    return reply;
}

/* The sentinels have made another server the master, or this one's replicas have left it. */
static void take_answer(struct redis_link *k, const redisReply *reply)
{
    bool deposed = k->url.master && (wire_fault_is(reply, "READONLY") ||
                                     wire_fault_is(reply, "NOREPLICAS") ||
                                     wire_fault_is(reply, "UNBLOCKED"));

    k->on->on_reply(k->arg, reply);
    if (deposed && k->state == LINK_UP && !k->closed)
        link_fail(k, "%s:%d is not the master any more", k->url.host, k->url.port);
}

/* Each reply may end the connection, or free the link and all around it. */
static void take_replies(struct redis_link *k)
{
    void *reply;

    while (k->reader) {
        if (redisReaderGetReply(k->reader, &reply) != REDIS_OK) {
            link_fail(k, "not the protocol of Redis: %s", k->reader->errstr);
            break;
        }
        if (!reply)
            break;
        k->reply = reply;
        if (k->state == LINK_GREET)
            on_greeting(k, reply);
        else
            take_answer(k, reply);
        freeReplyObject(link_keep_reply(k));
    }
}

/* False: no more waits, or the connection is lost. */
static bool read_replies(struct redis_link *k)
{
    char bytes[READ_BYTES];
    ssize_t n = recv(k->fd, bytes, sizeof bytes, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0)
        link_fail(k, "reading: %s", n == 0 ? "the server hung up" : strerror(errno));
    else if (redisReaderFeed(k->reader, bytes, (size_t)n) != REDIS_OK)
        link_fail(k, "no memory for a reply");
    else
        take_replies(k);
    return k->reader && n == sizeof bytes;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_link *k = arg;
    int reads = 0;

    (void)fd;
    (void)what;
    k->busy = true;
    while (read_replies(k) && ++reads < READS_PER_TURN)
        ;
    k->busy = false;
    if (k->closed)
        link_free(k);
}
