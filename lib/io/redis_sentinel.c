#include "lib/io/redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/redis_link.h"
#include "lib/io/redis_wire.h"

struct sentinel_ask {
    struct loop            *loop;
    const struct redis_url *url;        /* borrowed */
    size_t                  turn;       /* whom we ask */
    size_t                  left;       /* so many more may be asked */
    int64_t                 share;      /* ms for each */
    struct redis_link      *link;       /* owned, to the one that is asked */
    struct timer            timer;      /* its time is over, or its answer is here */
    char                    host[256];  /* the answer; "" as long as there is none */
    int                     port;
    char                    why[200];   /* there is none */
    sentinel_fn            *fn;
    void                   *arg;
};

/* In the order in which they run. */
static bool ask_next(struct sentinel_ask *a);
static void on_up(void *arg);
static void on_reply(void *arg, const struct redisReply *reply);
static void on_down(void *arg);
static void on_timer(void *arg);

static const struct link_handlers handlers = { on_up, on_down, on_reply };

struct sentinel_ask *sentinel_ask(struct loop *l, const struct redis_url *u, unsigned turn,
                                  int64_t timeout, sentinel_fn *fn, void *arg)
{
    struct sentinel_ask *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->loop = l;
    a->url = u;
    a->turn = turn % u->sentinel_count;
    a->left = u->sentinel_count;
    a->share = timeout / (int64_t)u->sentinel_count;
    a->fn = fn;
    a->arg = arg;
    timer_init(&a->timer, l, on_timer, a);
    if (!ask_next(a)) {
        free(a);
        return NULL;
    }
    return a;
}

void sentinel_cancel(struct sentinel_ask *a)
{
    if (!a)
        return;
    timer_stop(&a->timer);
    link_free(a->link);
    free(a);
}

static char *copy_of(const char *s)
{
    return s ? strdup(s) : NULL;
}

static bool ask_next(struct sentinel_ask *a)
{
    const struct redis_host *whom = &a->url->sentinels[a->turn];
    struct redis_url url = { .host = copy_of(whom->host), .port = whom->port,
                             .user = copy_of(a->url->sentinel_user),
                             .password = copy_of(a->url->sentinel_password) };
    struct redis_options o = { .connect_timeout = a->share, .name = "" };

    a->left--;
    snprintf(a->why, sizeof a->why, "no answer in time");
    a->link = link_new(a->loop, &url, &o, &handlers, a);
    if (!a->link)
        return false;
    a->link->quiet = true;
    timer_set(&a->timer, a->share);
    return true;
}

static void on_up(void *arg)
{
    struct sentinel_ask *a = arg;

    wire_add(&a->link->out, (const char *[]){ "SENTINEL", "get-master-addr-by-name",
                                              a->url->master, NULL });
    link_flush(a->link);
}

static void on_reply(void *arg, const struct redisReply *reply)
{
    struct sentinel_ask *a = arg;
    struct redis_arg host = redis_reply_text(redis_reply_at(reply, 0));
    int64_t port = redis_reply_int(redis_reply_at(reply, 1));

    if (host.len > 0 && host.len < sizeof a->host && port > 0 && port < 65536) {
        memcpy(a->host, host.s, host.len);
        a->port = (int)port;
    } else {
        snprintf(a->why, sizeof a->why, "it knows no such master");
    }
    timer_set(&a->timer, 0);
}

static void on_down(void *arg)
{
    struct sentinel_ask *a = arg;

    snprintf(a->why, sizeof a->why, "%.150s", a->link->why);
    timer_set(&a->timer, 0);
}

static void on_timer(void *arg)
{
    struct sentinel_ask *a = arg;
    const struct redis_host *asked = &a->url->sentinels[a->turn];
    char problem[512];

    link_free(a->link);
    a->link = NULL;
    a->turn = (a->turn + 1) % a->url->sentinel_count;
    if (!*a->host && a->left > 0 && ask_next(a))
        return;
    snprintf(problem, sizeof problem, "no sentinel says where %s is; %s:%d: %s", a->url->master,
             asked->host, asked->port, a->why);
    a->fn(a->arg, *a->host ? a->host : NULL, a->port, *a->host ? NULL : problem);
    free(a);
}
