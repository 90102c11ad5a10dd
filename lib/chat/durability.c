/* CONFIG GET, then ROLE if there must be replicas. */
#include "lib/chat/durability.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct durability_call {
    struct redis      *redis;           /* borrowed */
    struct redis_call *call;
    int64_t            min_replicas;
    char               problem[400];    /* "" as long as there is none */
    durability_fn     *fn;
    void              *arg;
};

static const struct { const char *name, *wanted; } needed[] = {
    { "appendonly", "yes" },
    { "appendfsync", "always" },
    { "maxmemory-policy", "noeviction" },
};
enum { NEEDED = sizeof needed / sizeof needed[0] };

/* CONFIG GET answers name, value, name, value, in an order of its own. */
static struct redis_arg value_of(const struct redisReply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < redis_reply_count(reply); i += 2)
        if (strcmp(redis_reply_text(redis_reply_at(reply, i)).s, name) == 0)
            return redis_reply_text(redis_reply_at(reply, i + 1));
    return REDIS_LIT("unknown");
}

/* The end. c is gone. */
static void tell(struct durability_call *c, const struct err *e)
{
    struct durability_call told = *c;

    free(c);
    told.fn(told.arg, *told.problem ? told.problem : NULL, e);
}

static void on_refused(struct durability_call *c, const char *command, const struct err *e)
{
    if (e->code != ERR_STORE)
        snprintf(c->problem, sizeof c->problem,
                 "%s is not allowed, so nothing is known: allow it to this user (%.150s)", command,
                 e->detail);
    else
        *c->problem = '\0';
    tell(c, e);
}

/* ROLE answers "master", its offset, and an array of the replicas that are connected. */
static void on_role(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct durability_call *c = arg;
    size_t len = strlen(c->problem), replicas = redis_reply_count(redis_reply_at(reply, 2));

    if (e) {
        on_refused(c, "ROLE", e);
        return;
    }
    if ((int64_t)replicas < c->min_replicas)
        snprintf(c->problem + len, sizeof c->problem - len,
                 "%sreplicas connected: %zu, REDIS_MIN_REPLICAS wants %" PRId64, len ? "; " : "",
                 replicas, c->min_replicas);
    tell(c, NULL);
}

static void on_config(void *arg, const struct redisReply *reply, const struct err *e)
{
    static const struct redis_arg role[] = { REDIS_LIT("ROLE") };
    struct durability_call *c = arg;
    struct err fault = ERR_NONE;
    size_t len = 0;

    if (e) {
        on_refused(c, "CONFIG GET", e);
        return;
    }
    for (size_t i = 0; i < NEEDED; i++) {
        const char *is = value_of(reply, needed[i].name).s;

        if (strcmp(is, needed[i].wanted) != 0)
            len += (size_t)snprintf(c->problem + len, sizeof c->problem - len,
                                    "%s%s is %.40s: set it to %s", len ? "; " : "",
                                    needed[i].name, is, needed[i].wanted);
    }
    if (c->min_replicas == 0) {
        tell(c, NULL);
        return;
    }
    c->call = redis_command(c->redis, 0, role, 1, on_role, c);
    if (!c->call) {
        err_set(&fault, ERR_STORE, "no memory to ask for the replicas");
        on_refused(c, "ROLE", &fault);
    }
}

struct durability_call *durability_check(struct redis *r, int64_t min_replicas, durability_fn *fn,
                                         void *arg)
{
    struct redis_arg argv[2 + NEEDED] = { REDIS_LIT("CONFIG"), REDIS_LIT("GET") };
    struct durability_call *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->redis = r;
    c->min_replicas = min_replicas;
    for (size_t i = 0; i < NEEDED; i++)
        argv[2 + i] = redis_str(needed[i].name);
    c->fn = fn;
    c->arg = arg;
    c->call = redis_command(r, 0, argv, 2 + NEEDED, on_config, c);
    if (!c->call) {
        free(c);
        return NULL;
    }
    return c;
}

void durability_call_cancel(struct durability_call *c)
{
    if (!c)
        return;
    redis_call_cancel(c->call);
    free(c);
}
