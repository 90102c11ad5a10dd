#include "lib/chat/durability.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct durability_call {
    struct redis_call *call;
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

static void on_config(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct durability_call c = *(struct durability_call *)arg;
    char problem[300] = "";
    size_t len = 0;

    free(arg);
    if (e && e->code == ERR_STORE) {
        c.fn(c.arg, NULL, e);
        return;
    }
    if (e) {
        snprintf(problem, sizeof problem,
                 "CONFIG GET is not allowed, so nothing is known: allow it to this user (%.150s)",
                 e->detail);
        c.fn(c.arg, problem, e);
        return;
    }
    for (size_t i = 0; i < NEEDED; i++) {
        const char *is = value_of(reply, needed[i].name).s;

        if (strcmp(is, needed[i].wanted) != 0)
            len += (size_t)snprintf(problem + len, sizeof problem - len,
                                    "%s%s is %.40s: set it to %s", len ? "; " : "",
                                    needed[i].name, is, needed[i].wanted);
    }
    c.fn(c.arg, len ? problem : NULL, NULL);
}

struct durability_call *durability_check(struct redis *r, durability_fn *fn, void *arg)
{
    struct redis_arg argv[2 + NEEDED] = { REDIS_LIT("CONFIG"), REDIS_LIT("GET") };
    struct durability_call *c = malloc(sizeof *c);

    if (!c)
        return NULL;
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
