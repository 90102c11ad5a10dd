#include "lib/io/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/io/loop_memory.h"

struct watched_signal {
    struct event          event;
    loop_fn              *fn;
    void                 *arg;
    struct watched_signal *next;
};

struct loop {
    struct event_base     *base;
    struct watched_signal *signals;     /* owned */
    bool                   stopping;
};

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    const struct timeval at_most = { 0, 5000 };     /* what is urgent waits for the usual */
    struct event_config *config;

    loop_memory_init();
    config = event_config_new();
    signal(SIGPIPE, SIG_IGN);
    if (l && config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_max_dispatch_interval(config, &at_most, -1, LOOP_USUAL);
        l->base = event_base_new_with_config(config);
    }
    if (config)
        event_config_free(config);
    if (l && l->base)
        event_base_priority_init(l->base, LOOP_USUAL + 1);
    if (l && !l->base) {
        free(l);
        l = NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    while (l->signals) {
        struct watched_signal *s = l->signals;

        l->signals = s->next;
        event_del(&s->event);
        free(s);
    }
    event_base_free(l->base);
    free(l);
}

/* libevent forgets a break that was asked for before its loop began; we do not. */
void loop_run(struct loop *l)
{
    while (!l->stopping && event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY) == 0)
        ;
    l->stopping = false;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
    event_base_loopbreak(l->base);
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct timer *t = arg;

    (void)fd;
    (void)what;
    t->fn(t->arg);
}

void timer_init(struct timer *t, struct loop *l, loop_fn *fn, void *arg)
{
    t->fn = fn;
    t->arg = arg;
    evtimer_assign(&t->event, l->base, on_timer, t);
}

void timer_set(struct timer *t, int64_t ms)
{
    struct timeval after;

    if (ms < 0)
        ms = 0;
    after.tv_sec = ms / 1000;
    after.tv_usec = ms % 1000 * 1000;
    evtimer_add(&t->event, &after);
}

void timer_set_soon(struct timer *t)
{
    event_active(&t->event, EV_TIMEOUT, 0);
}

void timer_stop(struct timer *t)
{
    if (event_initialized(&t->event))
        evtimer_del(&t->event);
}

bool timer_running(const struct timer *t)
{
    return event_initialized(&t->event) && evtimer_pending(&t->event, NULL);
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    struct watched_signal *s = arg;

    (void)signo;
    (void)what;
    s->fn(s->arg);
}

bool loop_on_signal(struct loop *l, int signo, loop_fn *fn, void *arg)
{
    struct watched_signal *s;

    for (s = l->signals; s; s = s->next)
        if (event_get_signal(&s->event) == signo)
            break;
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return false;
        evsignal_assign(&s->event, l->base, signo, on_signal, s);
        if (evsignal_add(&s->event, NULL) < 0) {
            free(s);
            return false;
        }
        s->next = l->signals;
        l->signals = s;
    }
    s->fn = fn;
    s->arg = arg;
    return true;
}

int64_t loop_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t soft = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = soft;
    }
    return limit.rlim_cur == RLIM_INFINITY ? INT64_MAX : (int64_t)limit.rlim_cur;
}
