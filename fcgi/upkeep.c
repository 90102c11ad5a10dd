#include "fcgi/upkeep.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/gateway.h"
#include "fcgi/handlers/pool_view.h"
#include "lib/base/clock.h"
#include "lib/chat/durability.h"
#include "lib/io/pool.h"

enum { BEAT_MS = 1000, ASK_EVERY_MS = 10000, CROWD = 200 };

struct upkeep {
    struct app        *app;         /* borrowed */
    struct timer       beat;
    struct durability_call *asking; /* or NULL */
    int64_t            asked_ms;
    size_t             most;        /* requests under way at once, since memory was given back */
};

static void on_durability(void *arg, const char *problem, const struct err *e)
{
    struct upkeep *u = arg;
    struct app *app = u->app;
    bool changed;

    u->asking = NULL;
    if (e && !problem)              /* not asked; what we knew may still hold */
        return;
    changed = app->durable != !problem || strcmp(app->durability_problem, problem ? problem : "");
    app->durable = !problem;
    snprintf(app->durability_problem, sizeof(app->durability_problem), "%s",
             problem ? problem : "");
    if (changed && problem)
        log_error(NULL, "redis durable=no problem=\"%s\"", problem);
    else if (changed)
        log_info(NULL, "redis durable=yes");
}

static void ask(struct upkeep *u)
{
    if (u->asking)
        return;
    u->asked_ms = clock_ms();
    u->asking = durability_check(u->app->redis, u->app->settings.redis.min_replicas, on_durability,
                                 u);
}

static void on_redis(void *arg, bool up)
{
    struct upkeep *u = arg;

    if (!up)
        return;
    /* It may be another one, or the same with other settings: nothing is known yet. */
    u->app->durable = false;
    u->app->durability_problem[0] = '\0';
    ask(u);
}

/* What a crowd needed lies in pieces between what is still in use; the allocator by itself gives
 * back only what is free at its end. */
static void give_back_memory(struct upkeep *u)
{
    size_t now = u->app->gateway ? gateway_active(u->app->gateway) : 0;

    if (now > u->most)
        u->most = now;
    if (u->most >= CROWD && now <= u->most / 4) {
        malloc_trim(0);
        u->most = now;
    }
}

static void on_beat(void *arg)
{
    struct upkeep *u = arg;

    give_back_memory(u);
    if (u->app->pool) {
        pool_view_tell(u->app);
        pool_meet(u->app->pool);
    }
    /* At each beat while the answer may change soon: replicas come and go. */
    if (redis_is_up(u->app->redis) &&
        (!u->app->durable || u->app->settings.redis.min_replicas > 0 ||
         clock_ms() - u->asked_ms >= ASK_EVERY_MS))
        ask(u);
    timer_set(&u->beat, BEAT_MS);
}

struct upkeep *upkeep_new(struct app *app)
{
    struct upkeep *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->app = app;
    timer_init(&u->beat, app->loop, on_beat, u);
    redis_on_state(app->redis, on_redis, u);
    on_beat(u);
    return u;
}

void upkeep_free(struct upkeep *u)
{
    if (!u)
        return;
    timer_stop(&u->beat);
    durability_call_cancel(u->asking);
    redis_on_state(u->app->redis, NULL, NULL);
    free(u);
}
