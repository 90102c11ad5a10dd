/* confabctl pool: who is at work on this host, read from the scoreboards. */

#include <inttypes.h>
#include <stdio.h>

#include "confabctl/ctl.h"
#include "lib/base/clock.h"
#include "lib/io/pool.h"

static void row(const char *program, const struct pool_slot *s, int64_t now)
{
    printf("%-10s %8d %-8s %9" PRId64 " %10" PRId64 " %10" PRIu64 " %7" PRIu64 " %7" PRIu64
           " %7" PRIu64 " %8" PRIu64 "\n", program, s->pid, pool_slot_state(s),
           (now - s->started_at) / 1000, now - s->turned_at, s->counts.requests, s->active,
           s->streams, s->counts.errors, s->counts.rejected);
}

/* How many of them live; they are printed. None, when nobody has made the scoreboard yet. */
static size_t show(struct ctl *c, const char *program, const char *scoreboard)
{
    struct pool_slot slots[POOL_SLOTS];
    struct pool *pool;
    struct err e = ERR_NONE;
    size_t count;

    if (pool_look(c->settings.server.runtime_dir, scoreboard, &pool, &e) != ERR_OK) {
        if (e.code != ERR_NO_ROUTE)
            c->err = e;
        return 0;
    }
    count = pool_living(pool, slots, POOL_SLOTS);
    for (size_t i = 0; i < count; i++)
        row(program, &slots[i], clock_wall_ms());
    pool_leave(pool);
    return count;
}

int ctl_pool(struct ctl *c, int argc, char **argv)
{
    size_t children, runners;

    (void)argv;
    if (argc != 1)
        return CTL_USAGE;
    printf("%-10s %8s %-8s %9s %10s %10s %7s %7s %7s %8s\n", "program", "pid", "state", "up s",
           "turned ms", "requests", "active", "streams", "errors", "rejected");
    children = show(c, "fcgi", "pool");
    runners = show(c, "jobrunner", "jobrunner");
    if (c->err.code != ERR_OK)
        return ctl_failed(c);
    printf("%zu of %" PRId64 " children, %zu runners\n", children, c->settings.server.children,
           runners);
    return (int64_t)children < c->settings.server.children || runners == 0 ? EXIT_FAILURE
                                                                            : EXIT_SUCCESS;
}
