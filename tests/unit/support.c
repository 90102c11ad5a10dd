#include "tests/unit/support.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"

enum { PATIENCE_MS = 20000, TICK_MS = 5, DIRS_MAX = 64 };

int support_run(struct Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Conditions that no event of this loop announces are looked at again after a tick. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static struct event *tick_begin(struct loop *l)
{
    struct timeval every = { 0, TICK_MS * 1000 };
    struct event *tick = event_new(loop_base(l), -1, EV_PERSIST, on_tick, NULL);

    ck_assert_ptr_nonnull(tick);
    event_add(tick, &every);
    return tick;
}

void support_until_true(struct loop *l, bool (*holds)(void *arg), void *arg)
{
    struct event *tick = tick_begin(l);
    int64_t end = clock_ms() + PATIENCE_MS;

    while (!holds(arg)) {
        if (clock_ms() > end)
            ck_abort_msg("waited in vain for %d ms", PATIENCE_MS);
        event_base_loop(loop_base(l), EVLOOP_ONCE);
    }
    event_free(tick);
}

static bool is_set(void *arg)
{
    return *(const bool *)arg;
}

void support_until(struct loop *l, const bool *done)
{
    support_until_true(l, is_set, (void *)(uintptr_t)done);
}

struct count { const int *now; int wanted; };

static bool is_reached(void *arg)
{
    const struct count *c = arg;

    return *c->now >= c->wanted;
}

void support_until_count(struct loop *l, const int *count, int wanted)
{
    struct count c = { count, wanted };

    support_until_true(l, is_reached, &c);
}

void support_turn(struct loop *l, int64_t ms)
{
    struct event *tick = tick_begin(l);
    int64_t end = clock_ms() + ms;

    while (clock_ms() < end)
        event_base_loop(loop_base(l), EVLOOP_ONCE);
    event_free(tick);
}

static char  dirs[DIRS_MAX][64];
static int   dir_count;
static pid_t dirs_of;       /* a forked test must not remove its parent's folders */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_dirs(void)
{
    if (dirs_of != getpid())
        return;
    for (int i = 0; i < dir_count; i++)
        nftw(dirs[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *support_dir(void)
{
    if (dirs_of != getpid()) {
        dirs_of = getpid();
        dir_count = 0;
        atexit(remove_dirs);
    }
    ck_assert_int_lt(dir_count, DIRS_MAX);
    strcpy(dirs[dir_count], "/tmp/confab-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dirs[dir_count]));
    return dirs[dir_count++];
}
