/* confabctl tasks pause | resume | queue: the queue of tasks as a whole. */

#include <inttypes.h>
#include <stdio.h>

#include "confabctl/ctl.h"
#include "lib/base/clock.h"
#include "lib/chat/task_queue.h"

static void on_held(void *arg, int64_t waiting, const struct err *e)
{
    struct ctl *c = arg;

    if (!e)
        printf("%" PRId64 " in line\n", waiting);
    ctl_end(c, e);
}

static int hold(struct ctl *c, bool pause, const char *words)
{
    if (!ctl_redis(c) || !task_hold_queue(c->redis, pause, words, on_held, c))
        return ctl_failed(c);
    return ctl_wait(c);
}

int ctl_tasks_pause(struct ctl *c, int argc, char **argv)
{
    if (argc > 2)
        return CTL_USAGE;
    return hold(c, true, argc == 2 ? argv[1] : "Somebody paused it with confabctl.");
}

int ctl_tasks_resume(struct ctl *c, int argc, char **argv)
{
    (void)argv;
    return argc == 1 ? hold(c, false, "") : CTL_USAGE;
}

static void print_time(const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];

    if (wall_ms)
        printf("%-9s %s\n", name, clock_rfc3339(wall_ms, text));
}

static void on_state(void *arg, const struct task_queue_state *s, const struct err *e)
{
    struct ctl *c = arg;

    if (!e) {
        printf("%-9s %s\n", "paused", !s->paused ? "no" : s->by_hand ? "by hand" : s->code);
        if (s->paused)
            printf("%-9s %s\n", "why", s->words);
        print_time("since", s->since);
        print_time("next try", s->next_try);
        printf("%-9s %" PRId64 "\n%-9s %" PRId64 "\n%-9s %" PRId64 "\n%-9s %" PRId64 "\n",
               "open", s->open, "running", s->running, "in line", s->waiting, "later", s->due);
    }
    ctl_end(c, e);
}

int ctl_tasks_queue(struct ctl *c, int argc, char **argv)
{
    (void)argv;
    if (argc != 1)
        return CTL_USAGE;
    if (!ctl_redis(c) || !task_queue_state(c->redis, on_state, c))
        return ctl_failed(c);
    return ctl_wait(c);
}
