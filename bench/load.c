/* A load client that reads strictly: one process, one epoll, any number of connections.
 *
 * With --seconds each connection makes one request after the other; without, each makes one, all
 * at once, and the line "opened" on standard output says that all have their first token.
 *
 * Success is the expected status, a whole reply and, in a stream, its closing event: `done`, or
 * [DONE] from an upstream itself. A token is known by its text, "t=<ns>; ", see upstream.c. */

#include "bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/reply.h"

enum { EVENTS = 512, READ_SIZE = 64 << 10, PATIENCE_MS = 120000 };

struct client {
    int          fd;            /* -1: not connected */
    unsigned     number;
    uint64_t     requests;
    int64_t      sent_at;
    bool         connecting, spoke, done;   /* waits for a connection; had a token; had `done` */
    bool         out;           /* this machine gives it no connection: it asks no more */
    char         error[48];     /* code of an error event */
    struct reply reply;
};

static struct options       opt;
static struct results       results;
static struct sockaddr_in   target;
static int                  poller;
static unsigned             active;         /* clients with a request under way */
static unsigned             silent;         /* those that had no token yet */
static int64_t              began, counts_from, ends;
static enum phase           phase;

static void next_request(struct client *c);

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void hang_up(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->connecting = false;
}

static void hears(struct client *c)
{
    if (c->spoke)
        return;
    c->spoke = true;
    if (opt.seconds > 0 || --silent > 0)
        return;
    results.open_seconds = (double)(now_ns() - began) / 1e9;
    if (phase == PHASE_OPENING)
        phase = PHASE_PLATEAU;
    puts("opened");
    fflush(stdout);
}

/* kind NULL: all is well. */
static void request_over(struct client *c, const char *kind)
{
    int64_t now = now_ns();
    bool counts = now >= counts_from;
    bool keeps = !kind && !opt.fresh && !c->reply.closes;

    active--;
    hears(c);
    results.answered += !kind;
    if (counts && kind) {
        results_fail(&results, kind);
        if (c->reply.status && c->reply.status != opt.expect)
            hist_add(&results.refused, (uint64_t)(now - c->sent_at));
    } else if (counts) {
        results.ok++;
        hist_add(&results.whole, (uint64_t)(now - c->sent_at));
    }
    if (!keeps)
        hang_up(c);
    if (opt.seconds > 0 && now < ends && !c->out)
        next_request(c);
    else if (opt.seconds == 0)
        hang_up(c);
}

/* --- what comes --- */

/* The tokens in this text. */
static void see_tokens(struct client *c, const char *text, size_t len, int64_t now)
{
    const char *end = text + len;

    while ((text = memmem(text, (size_t)(end - text), "t=", 2)) && end - text >= 23) {
        char *stop;
        int64_t sent = strtoll(text + 2, &stop, 10);

        text += 2;
        if (stop != text + 19 || *stop != ';')
            continue;
        if (now >= counts_from) {
            hist_add(&results.tokens[phase], (uint64_t)(now - sent));
            if (!c->spoke)
                hist_add(&results.first, (uint64_t)(now - c->sent_at));
        }
        hears(c);
    }
}

static bool starts(const char *line, const char *end, const char *with)
{
    return (size_t)(end - line) >= strlen(with) && strncmp(line, with, strlen(with)) == 0;
}

/* One event, from line to line. */
static void see_event(struct client *c, const char *at, const char *end, int64_t now)
{
    const char *name = NULL, *code;

    for (const char *eol; at < end; at = eol + 1) {
        eol = memchr(at, '\n', (size_t)(end - at));
        eol = eol ? eol : end;
        if (starts(at, eol, "event: ")) {
            name = at + 7;
        } else if (starts(at, eol, "data: ") && name && starts(name, end, "error\n")) {
            code = memmem(at, (size_t)(eol - at), "\"code\":\"", 8);
            snprintf(c->error, sizeof(c->error), "event %.*s",
                     code ? (int)strcspn(code + 8, "\"") : 5, code ? code + 8 : "error");
        } else if (starts(at, eol, "data: ")) {
            see_tokens(c, at, (size_t)(eol - at), now);
            if (opt.openai ? starts(at, eol, "data: [DONE]") : name && starts(name, end, "done\n")) {
                c->done = true;
                if (phase == PHASE_PLATEAU)
                    phase = PHASE_CLOSING;
            }
        }
    }
}

static void see_events(struct client *c, int64_t now)
{
    struct buf *body = &c->reply.body;
    char *at = body->data, *end;

    while ((end = memmem(at, body->len - (size_t)(at - body->data), "\n\n", 2))) {
        see_event(c, at, end, now);
        at = end + 2;
    }
    buf_consume(body, (size_t)(at - body->data));
}

/* "503 pool_busy": the status, and the code of the problem that is told. */
static void name_problem(const struct client *c, char *kind, size_t size)
{
    const char *code = strstr(c->reply.body.data, "\"code\":\"");

    code = code ? code + 8 : "";
    snprintf(kind, size, "%d %.*s%s", c->reply.status, (int)strcspn(code, "\""), code,
             c->reply.status == 503 && c->reply.retry_after < 0 ? " without Retry-After" : "");
}

static void reply_over(struct client *c)
{
    char kind[64];

    if (c->reply.status != opt.expect) {
        name_problem(c, kind, sizeof(kind));
        request_over(c, kind);
    } else if (opt.stream && !c->done) {
        request_over(c, c->error[0] ? c->error : "stream without done");
    } else {
        request_over(c, NULL);
    }
}

static void on_readable(struct client *c)
{
    static char bytes[READ_SIZE];
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    int64_t now = now_ns();

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        if (n == 0 && reply_end(&c->reply))
            reply_over(c);
        else
            request_over(c, n < 0 ? "connection reset" : c->spoke ? "cut" : "closed without reply");
        return;
    }
    if (!reply_feed(&c->reply, bytes, (size_t)n)) {
        request_over(c, "not HTTP");
        return;
    }
    if (opt.stream && c->reply.status == opt.expect)
        see_events(c, now);
    if (c->reply.state == REPLY_WHOLE)
        reply_over(c);
}

/* --- what goes --- */

static void send_request(struct client *c)
{
    static char body[64 << 10], whole[80 << 10];
    char id[128];
    int n;

    snprintf(id, sizeof(id), "%s-%06u-%04llu", opt.session, c->number,
             opt.turns ? (unsigned long long)(c->requests / opt.turns) : 0ULL);
    n = snprintf(body, sizeof(body), opt.body, id);
    n = snprintf(whole, sizeof(whole), "POST %s HTTP/1.1\r\nHost: bench\r\n"
                 "Content-Type: application/json\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n%s",
                 opt.path, opt.stream ? "text/event-stream" : "application/json", n, body);
    c->requests++;
    if (send(c->fd, whole, (size_t)n, MSG_NOSIGNAL) != n)
        request_over(c, "cannot send");
}

static void watch(struct client *c, int op)
{
    struct epoll_event e = { .events = c->connecting ? EPOLLOUT : EPOLLIN, .data.ptr = c };

    epoll_ctl(poller, op, c->fd, &e);
}

static void start_connecting(struct client *c)
{
    int yes = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        c->out = true;
        request_over(c, "no file left");
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    c->connecting = true;
    if (connect(c->fd, (struct sockaddr *)&target, sizeof(target)) == 0 || errno == EINPROGRESS) {
        watch(c, EPOLL_CTL_ADD);
        return;
    }
    c->out = true;
    request_over(c, errno == EADDRNOTAVAIL ? "no port left" : "cannot connect");
}

static void next_request(struct client *c)
{
    active++;
    reply_init(&c->reply);
    c->spoke = c->done = false;
    c->error[0] = '\0';
    c->sent_at = now_ns();
    if (c->fd < 0)
        start_connecting(c);
    else
        send_request(c);
}

static void on_client(struct client *c, uint32_t what)
{
    int fault = 0;
    socklen_t len = sizeof(fault);

    if (!c->connecting) {
        on_readable(c);
        return;
    }
    (void)what;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &fault, &len);
    if (fault) {
        request_over(c, fault == ECONNREFUSED ? "refused" : "cannot connect");
        return;
    }
    c->connecting = false;
    watch(c, EPOLL_CTL_MOD);
    send_request(c);
}

/* --- the whole run --- */

static void run(struct client *clients)
{
    struct epoll_event events[EVENTS];
    struct rusage used;
    int n;

    began = now_ns();
    counts_from = began + (int64_t)(opt.warmup * 1e9);
    ends = began + (int64_t)(opt.seconds * 1e9);
    silent = opt.connections;
    for (unsigned i = 0; i < opt.connections; i++)
        next_request(&clients[i]);
    while (active > 0 && (n = epoll_wait(poller, events, EVENTS, PATIENCE_MS)) != 0)
        for (int i = 0; i < n; i++)
            on_client(events[i].data.ptr, events[i].events);
    while (active > 0) {
        active--;
        results_fail(&results, "nothing more came");
    }
    results.seconds = (double)(now_ns() - counts_from) / 1e9;
    getrusage(RUSAGE_SELF, &used);
    results.cpu_seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                          (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    struct client *clients;
    struct rlimit files;

    if (!options_read(&opt, argc, argv))
        return 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)opt.port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(opt.connections, sizeof(*clients));
    if (!clients || inet_pton(AF_INET, opt.host, &target.sin_addr) != 1)
        return 2;
    for (unsigned i = 0; i < opt.connections; i++) {
        clients[i].fd = -1;
        clients[i].number = i;
    }
    run(clients);
    results_print(stdout, &results);
    for (unsigned i = 0; i < opt.connections; i++) {
        hang_up(&clients[i]);
        reply_close(&clients[i].reply);
    }
    free(clients);
    return 0;
}
