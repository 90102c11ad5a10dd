#include "fcgi/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/conn.h"
#include "fcgi/intake.h"
#include "fcgi/response.h"
#include "lib/base/clock.h"
#include "lib/io/pool.h"

enum {
    START_PER_TURN = 32,    /* requests read and routed before the loop sees to the others again */
    ACCEPT_BACKOFF_MS = 100,
    FAIR_LEAD = 16,         /* requests more than a sibling has, before it may have the next ones */
    FAIR_WAIT_MS = 1,
    FAIR_MOST = 128,        /* that it takes then, lest the backlog fills */
    CUT_GRACE_MS = 2000,    /* for handlers to put away what was cut, e.g. half an answer */
};

/* Accepted, its request not read yet. */
struct arrival { int fd; int64_t at_us; };

struct gateway {
    struct app           *app;          /* borrowed */
    gateway_route_fn     *route;
    struct intake_options intake;
    struct conns          conns;
    int                   listen_fd;    /* borrowed; -1 once we drain */
    int                   spare_fd;     /* given up to answer when there are no files left */
    struct event          acceptable;
    struct timer          accept_again, start, drained, cut;
    struct arrival       *queue;        /* a ring; owned */
    size_t                head, queued, room;
    size_t                silent;       /* arrivals that have not said anything yet */
    size_t                placed;       /* requests that have a place */
    bool                  has_waited;   /* for a sibling to take what there is to accept */
    bool                  cutting;
    loop_fn              *on_idle;
    void                 *on_idle_arg;
};

static size_t load(const struct gateway *g)
{
    return g->conns.count + g->queued + g->silent;
}

static void tell_active(struct gateway *g)
{
    if (g->app->pool)
        pool_mine(g->app->pool)->active = load(g);
}

static bool leads(const struct gateway *g)
{
    size_t mine = load(g);

    return g->app->pool && mine > FAIR_LEAD &&
           mine - FAIR_LEAD > pool_least_active(g->app->pool);
}

/* In the order of a request's way in. */
static void on_acceptable(evutil_socket_t fd, short what, void *arg);
static void on_start(void *arg);
static void on_speaks(evutil_socket_t fd, short what, void *arg);
static void arrival_start(struct gateway *g, struct arrival a);
static void request_start(struct gateway *g, struct conn *c, int64_t at_us);
static void on_fewer(void *arg);

static void on_accept_again(void *arg)
{
    struct gateway *g = arg;

    if (g->listen_fd >= 0)
        event_add(&g->acceptable, NULL);
}

static bool queue_push(struct gateway *g, struct arrival a)
{
    if (g->queued == g->room) {
        size_t room = g->room ? 2 * g->room : 64;
        struct arrival *q = malloc(room * sizeof(*q));

        if (!q)
            return false;
        for (size_t i = 0; i < g->queued; i++)
            q[i] = g->queue[(g->head + i) % g->room];
        free(g->queue);
        g->queue = q;
        g->room = room;
        g->head = 0;
    }
    g->queue[(g->head + g->queued++) % g->room] = a;
    return true;
}

static struct arrival queue_pop(struct gateway *g)
{
    struct arrival a = g->queue[g->head];

    g->head = (g->head + 1) % g->room;
    g->queued--;
    return a;
}

/* Has it said anything, so that reading does not wait for the first byte? An end counts. */
static bool speaks(int fd)
{
    char first;

    return recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/* The next request of an idle connection; false: there is none, and no connection any more. */
static bool request_read(struct gateway *g, struct conn *c, int64_t at_us, enum intake *how)
{
    struct taken taken;

    *how = intake_read(c->fd, &g->intake, &taken);
    if (*how == INTAKE_BROKEN) {
        conn_drop(c);
        return false;
    }
    taken.request->app = g->app;
    taken.request->started_us = at_us;
    request_init(taken.request);
    conn_begin(c, taken.request, taken.fcgi_id, taken.keep);
    tell_active(g);
    return true;
}

static struct conn *arrival_open(struct gateway *g, int fd)
{
    struct conn *c = conn_new(&g->conns, fd);

    if (c)
        intake_prepare(fd, &g->intake);
    else
        close(fd);
    return c;
}

/* Answers that there is no place, or no file. */
static void refuse(struct request *r, const char *what)
{
    struct gateway *g = r->app->gateway;
    struct err e = ERR_NONE;

    err_set(&e, ERR_POOL_BUSY, "no %s is left, %zu requests are under way here", what,
            g->conns.count - 1);
    e.retry_after = 1;
    if (g->app->pool)
        pool_mine(g->app->pool)->counts.rejected++;
    response_error(r, &e);
}

bool gateway_take_place(struct request *r)
{
    struct gateway *g = r->app->gateway;
    bool placed = g->app->pool ? pool_take_place(g->app->pool)
                               : g->placed < (size_t)g->app->settings.server.max_requests;

    r->placed = placed;
    g->placed += placed;
    if (!placed)
        refuse(r, "place");     /* which may free it */
    return placed;
}

static void on_over(struct request *r, void *arg)
{
    struct gateway *g = arg;

    g->placed -= r->placed;
    if (r->placed && g->app->pool)
        pool_give_place(g->app->pool);
}

/* No file is left for a connection that waits in the backlog: the spare one is spent on telling
 * it so. Without a spare, we leave it to the other children for a while. */
static void out_of_files(struct gateway *g)
{
    enum intake how;
    struct conn *c;
    int fd;

    if (g->spare_fd >= 0)
        close(g->spare_fd);
    fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && speaks(fd)) {
        c = arrival_open(g, fd);
        if (c && request_read(g, c, clock_us(), &how)) {
            c->keep = false;    /* its file is needed for the next; this once we close it */
            refuse(c->request, "file");
        }
    } else if (fd >= 0) {
        close(fd);
    }
    g->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    event_del(&g->acceptable);
    timer_set(&g->accept_again, g->spare_fd >= 0 && fd >= 0 ? 0 : ACCEPT_BACKOFF_MS);
}

/* All children are woken, and the quickest would take all there is: of ten thousand streams one of
 * two got seven. Who leads leaves them to its siblings, but not for long: those may be stuck. */
static void on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
    struct gateway *g = arg;
    int64_t now = clock_us();
    bool waited = g->has_waited;
    int fd, most = waited ? FAIR_MOST : 0;

    (void)what;
    g->has_waited = !waited && leads(g);
    if (g->has_waited) {
        event_del(&g->acceptable);
        timer_set(&g->accept_again, FAIR_WAIT_MS);
        return;
    }
    /* Any process that has the same socket may have made it a blocking one. */
    evutil_make_socket_nonblocking(listen_fd);
    do {
        fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && !queue_push(g, (struct arrival){ fd, now }))
            close(fd);
    } while (fd >= 0 && (--most > 0 || !leads(g)));
    tell_active(g);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
        out_of_files(g);
    if (g->queued > 0 && !timer_running(&g->start))
        timer_set(&g->start, 0);
}

static void on_start(void *arg)
{
    struct gateway *g = arg;
    struct timeval patience = { g->intake.read_timeout / 1000,
                                (g->intake.read_timeout % 1000) * 1000 };

    for (int i = 0; i < START_PER_TURN && g->queued > 0; i++) {
        struct arrival a = queue_pop(g);

        if (speaks(a.fd))
            arrival_start(g, a);
        else if (event_base_once(g->conns.base, a.fd, EV_READ | EV_TIMEOUT, on_speaks, g,
                                 &patience) == 0)
            g->silent++;
        else
            close(a.fd);
    }
    if (g->queued > 0)
        timer_set(&g->start, 0);
    on_fewer(g);
}

/* A connection that was silent when its turn came. */
static void on_speaks(evutil_socket_t fd, short what, void *arg)
{
    struct gateway *g = arg;

    g->silent--;
    if (what & EV_READ)
        arrival_start(g, (struct arrival){ fd, clock_us() });
    else
        close(fd);
    on_fewer(g);
}

static void arrival_start(struct gateway *g, struct arrival a)
{
    struct conn *c = arrival_open(g, a.fd);

    if (c)
        request_start(g, c, a.at_us);
}

/* A connection that was kept. */
static void on_speaks_again(struct conn *c, void *arg)
{
    request_start(arg, c, clock_us());
}

static void request_start(struct gateway *g, struct conn *c, int64_t at_us)
{
    struct err e = ERR_NONE;
    enum intake how;

    if (!request_read(g, c, at_us, &how))
        return;
    if (how == INTAKE_TOO_LARGE) {
        err_set(&e, ERR_TOO_LARGE, "the body may have at most %zu bytes", g->intake.max_body);
        response_error(c->request, &e);
    } else {
        g->conns.routed = c;
        g->route(c->request);
        if (g->conns.routed)    /* most are answered by now: those cost no place in epoll */
            conn_watch(c);
        g->conns.routed = NULL;
    }
}

size_t gateway_active(const struct gateway *g)
{
    return g->conns.count;
}

/* A request has ended, or something else that a drain waits for: also for the web server to close
 * what it keeps. */
static void on_fewer(void *arg)
{
    struct gateway *g = arg;

    tell_active(g);
    if (g->on_idle && load(g) + g->conns.idle == 0)
        timer_set(&g->drained, 0);
}

static void on_drained(void *arg)
{
    struct gateway *g = arg;
    loop_fn *told = g->on_idle;

    g->on_idle = NULL;
    timer_stop(&g->cut);
    if (told)
        told(g->on_idle_arg);
}

/* The drain took too long. First the clients are cut, and the handlers may put away what they
 * have; then we do not wait any more. */
static void on_cut(void *arg)
{
    struct gateway *g = arg;
    size_t left = g->conns.count;

    if (g->cutting) {
        timer_set(&g->drained, 0);
        return;
    }
    g->cutting = true;
    log_warn(NULL, "drain event=cut requests=%zu", left);
    timer_set(&g->cut, CUT_GRACE_MS);
    /* A cut ends its own connection at most, and adds none. */
    for (struct conn *c = g->conns.first, *next; c; c = next) {
        next = c->next;
        conn_cut(c);
    }
}

void gateway_drain(struct gateway *g, loop_fn *on_idle, void *arg)
{
    if (g->listen_fd < 0)       /* told twice */
        return;
    event_del(&g->acceptable);
    timer_stop(&g->accept_again);
    g->listen_fd = -1;
    if (g->app->pool)
        pool_mine(g->app->pool)->draining = 1;
    g->on_idle = on_idle;
    g->on_idle_arg = arg;
    timer_set(&g->cut, g->app->settings.server.drain_timeout);
    on_fewer(g);
}

struct gateway *gateway_new(struct app *app, int listen_fd, gateway_route_fn *route)
{
    struct gateway *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->app = app;
    g->route = route;
    g->intake.read_timeout = app->settings.server.request_read_timeout;
    g->intake.max_body = (size_t)app->settings.server.max_body;
    g->conns = (struct conns){
        .base = loop_base(app->loop),
        .max_unsent = (size_t)app->settings.server.max_unsent,
        .on_speaks = on_speaks_again,
        .on_over = on_over,
        .on_fewer = on_fewer,
        .arg = g,
    };
    g->listen_fd = listen_fd;
    intake_init();
    timer_init(&g->accept_again, app->loop, on_accept_again, g);
    timer_init(&g->start, app->loop, on_start, g);
    timer_init(&g->drained, app->loop, on_drained, g);
    timer_init(&g->cut, app->loop, on_cut, g);
    g->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    event_assign(&g->acceptable, g->conns.base, listen_fd, EV_READ | EV_PERSIST, on_acceptable, g);
    /* Or the backlog fills in a crowd. */
    event_priority_set(&g->acceptable, LOOP_URGENT);
    event_priority_set(&g->accept_again.event, LOOP_URGENT);
    if (g->spare_fd < 0 || evutil_make_socket_nonblocking(listen_fd) != 0 ||
        event_add(&g->acceptable, NULL) != 0) {
        gateway_free(g);
        return NULL;
    }
    return g;
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    for (struct conn *c = g->conns.first, *next; c; c = next) {
        next = c->next;
        if (c->state == CONN_IDLE)
            conn_cut(c);
    }
    event_del(&g->acceptable);
    timer_stop(&g->accept_again);
    timer_stop(&g->start);
    timer_stop(&g->drained);
    timer_stop(&g->cut);
    while (g->queued > 0)
        close(queue_pop(g).fd);
    free(g->queue);
    if (g->spare_fd >= 0)
        close(g->spare_fd);
    free(g);
}
