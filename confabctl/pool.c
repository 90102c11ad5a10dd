/* confabctl pool: who is at work on this host, read from the scoreboards. */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "confabctl/ctl.h"
#include "lib/base/clock.h"
#include "lib/io/pool.h"

static void row(const char *program, const struct pool_slot *s, int64_t now)
{
    printf("%-10s %8d %9" PRId64 " %10" PRId64 " %10" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64
           " %8" PRIu64 "\n", program, s->pid, (now - s->started_at) / 1000, now - s->turned_at,
           s->requests, s->active, s->streams, s->errors, s->rejected);
}

/* How many of them live; they are printed. Who looks takes a slot as well, which is not shown;
 * a scoreboard that nobody has made is not made here, as it might belong to the wrong user. */
static size_t show(struct ctl *c, const char *program, const char *scoreboard)
{
    const char *dir = c->settings.server.runtime_dir;
    struct pool_slot slots[POOL_SLOTS];
    struct pool *pool = NULL;
    size_t count, shown = 0;
    char path[4200];

    snprintf(path, sizeof(path), "%s/%s", dir, scoreboard);
    if (access(path, F_OK) != 0 || pool_join(dir, scoreboard, &pool, &c->err) != ERR_OK)
        return 0;
    count = pool_living(pool, slots, POOL_SLOTS);
    for (size_t i = 0; i < count; i++)
        if (slots[i].pid != getpid()) {
            row(program, &slots[i], clock_wall_ms());
            shown++;
        }
    pool_leave(pool);
    return shown;
}

int ctl_pool(struct ctl *c, int argc, char **argv)
{
    size_t children, runners;

    (void)argv;
    if (argc != 1)
        return CTL_USAGE;
    printf("%-10s %8s %9s %10s %10s %7s %7s %7s %8s\n", "program", "pid", "up s", "turned ms",
           "requests", "active", "streams", "errors", "rejected");
    children = show(c, "fcgi", "pool");
    runners = show(c, "jobrunner", "jobrunner");
    if (c->err.code != ERR_OK)
        return ctl_failed(c);
    printf("%zu of %" PRId64 " children, %zu runners\n", children, c->settings.server.children,
           runners);
    return (int64_t)children < c->settings.server.children || runners == 0 ? EXIT_FAILURE
                                                                            : EXIT_SUCCESS;
}
