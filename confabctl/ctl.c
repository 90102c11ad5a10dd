#include "confabctl/ctl.h"

#include <stdio.h>

bool ctl_redis(struct ctl *c)
{
    struct redis_options o = {
        .url = c->settings.redis.url,
        .connect_timeout = c->settings.redis.connect_timeout,
        .timeout = c->settings.redis.timeout,
        .name = "confabctl",
        .replicas = c->settings.redis.min_replicas,
        .replica_timeout = c->settings.redis.replica_timeout,
    };

    return c->redis || redis_new(c->loop, &o, &c->redis, &c->err) == ERR_OK;
}

int ctl_failed(struct ctl *c)
{
    if (c->err.code == ERR_OK)
        err_set(&c->err, ERR_INTERNAL, "out of memory");
    fprintf(stderr, "confabctl: %s\n", c->err.detail);
    return EXIT_FAILURE;
}

int ctl_wait(struct ctl *c)
{
    loop_run(c->loop);
    return c->err.code == ERR_OK ? EXIT_SUCCESS : ctl_failed(c);
}

void ctl_end(struct ctl *c, const struct err *e)
{
    c->err = e ? *e : ERR_NONE;
    loop_stop(c->loop);
}
