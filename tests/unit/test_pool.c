/* The scoreboard of a pool's processes. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/io/pool.h"
#include "tests/unit/support.h"

static const char *dir;
static struct pool *pool;
static struct pool_slot living[POOL_SLOTS];

static void setup(void)
{
    struct err e = ERR_NONE;

    dir = support_dir();
    ck_assert_msg(pool_join(dir, "test", &pool, &e) == ERR_OK, "%s", e.detail);
}

static void teardown(void)
{
    pool_leave(pool);
}

/* A process of the pool that has joined and taken its one place when this returns, and waits to be
 * killed. */
static pid_t fork_member(uint64_t requests)
{
    int ready[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        struct pool *own;

        if (pool_join(dir, "test", &own, NULL) == ERR_OK) {
            pool_mine(own)->counts.requests = requests;
            pool_mine(own)->places = 1;
            pool_take_place(own);
            (void)!write(ready[1], "x", 1);
        }
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end_member(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

START_TEST(who_joins_has_a_slot_of_its_own_and_counts_as_living)
{
    struct pool_slot *mine = pool_mine(pool);

    ck_assert_int_eq(mine->pid, getpid());
    ck_assert_int_le(mine->started_at, clock_wall_ms());
    ck_assert_int_gt(mine->started_at, clock_wall_ms() - 10000);
    mine->counts.requests = 7;
    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), 1);
    ck_assert_uint_eq(living[0].counts.requests, 7);
}
END_TEST

START_TEST(processes_see_each_other_and_a_killed_one_is_gone_at_once)
{
    pid_t one = fork_member(10), two = fork_member(20);

    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), 3);
    ck_assert_int_eq(living[1].pid, one);
    ck_assert_uint_eq(living[1].counts.requests, 10);
    ck_assert_int_eq(living[2].pid, two);
    end_member(one);
    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), 2);
    ck_assert_int_eq(living[1].pid, two);
    end_member(two);
    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), 1);
}
END_TEST

START_TEST(the_slot_of_a_dead_process_is_taken_again_and_begins_at_zero)
{
    pid_t one = fork_member(10);

    end_member(one);
    one = fork_member(0);
    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), 2);
    ck_assert_int_eq(living[1].pid, one);
    ck_assert_uint_eq(living[1].counts.requests, 0);
    end_member(one);
}
END_TEST

START_TEST(what_the_dead_have_counted_stays_in_the_totals)
{
    pid_t one = fork_member(10);

    pool_mine(pool)->counts.requests = 1;
    ck_assert_uint_eq(pool_totals(pool).requests, 11);
    end_member(one);
    ck_assert_uint_eq(pool_totals(pool).requests, 11);
    one = fork_member(100);
    ck_assert_uint_eq(pool_totals(pool).requests, 111);
    end_member(one);
    one = fork_member(1000);
    ck_assert_uint_eq(pool_totals(pool).requests, 1111);
    end_member(one);
}
END_TEST

START_TEST(who_only_looks_takes_no_slot_and_makes_no_file)
{
    struct pool *looker;
    struct err e = ERR_NONE;

    ck_assert_int_eq(pool_look(dir, "test", &looker, &e), ERR_OK);
    ck_assert_uint_eq(pool_living(looker, living, POOL_SLOTS), 1);
    ck_assert_int_eq(living[0].pid, getpid());
    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), 1);
    pool_leave(looker);
    ck_assert_int_eq(pool_look(dir, "none", &looker, &e), ERR_NO_ROUTE);
    ck_assert_ptr_null(looker);
    ck_assert_int_eq(pool_look(dir, "none", &looker, &e), ERR_NO_ROUTE);
}
END_TEST

START_TEST(all_slots_can_be_taken_and_not_one_more)
{
    static struct pool *others[POOL_SLOTS];
    struct pool *more;
    struct err e = ERR_NONE;

    for (int i = 1; i < POOL_SLOTS; i++)
        ck_assert_int_eq(pool_join(dir, "test", &others[i], NULL), ERR_OK);
    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), POOL_SLOTS);
    ck_assert_uint_eq(pool_living(pool, living, 3), 3);
    ck_assert_int_eq(pool_join(dir, "test", &more, &e), ERR_INTERNAL);
    ck_assert_ptr_null(more);
    ck_assert_ptr_nonnull(strstr(e.detail, "slots"));
    pool_leave(others[17]);
    ck_assert_int_eq(pool_join(dir, "test", &others[17], &e), ERR_OK);
    for (int i = 1; i < POOL_SLOTS; i++)
        pool_leave(others[i]);
    ck_assert_uint_eq(pool_living(pool, living, POOL_SLOTS), 1);
}
END_TEST

START_TEST(the_least_active_is_a_sibling_that_takes_requests)
{
    struct pool *busy, *idle;

    ck_assert_int_eq(pool_join(dir, "test", &busy, NULL), ERR_OK);
    ck_assert_int_eq(pool_join(dir, "test", &idle, NULL), ERR_OK);
    ck_assert_uint_eq(pool_least_active(pool), UINT64_MAX);     /* not met yet */
    pool_meet(pool);
    pool_mine(pool)->active = 1;
    pool_mine(busy)->active = 7;
    pool_mine(idle)->active = 3;
    ck_assert_uint_eq(pool_least_active(pool), 3);
    pool_mine(idle)->draining = 1;
    ck_assert_uint_eq(pool_least_active(pool), 7);
    pool_leave(busy);
    pool_meet(pool);
    ck_assert_uint_eq(pool_least_active(pool), UINT64_MAX);
    pool_leave(idle);
}
END_TEST

static struct pool *join(int places)
{
    struct pool *p;

    ck_assert_int_eq(pool_join(dir, "test", &p, NULL), ERR_OK);
    pool_mine(p)->places = places;
    return p;
}

START_TEST(all_places_can_be_taken_by_whoever_asks_and_not_one_more)
{
    struct pool *sibling = join(3), *ending = join(5);

    pool_mine(pool)->places = 2;
    pool_mine(ending)->draining = 1;    /* what it holds and what it brings are out of account */
    pool_mine(ending)->taken = 4;
    for (int i = 0; i < 4; i++)
        ck_assert(pool_take_place(pool));
    ck_assert(pool_take_place(sibling));
    ck_assert(!pool_take_place(sibling));
    ck_assert(!pool_take_place(pool));
    pool_give_place(pool);
    ck_assert(pool_take_place(sibling));
    ck_assert(!pool_take_place(pool));
    pool_leave(sibling);
    pool_leave(ending);
}
END_TEST

START_TEST(who_joins_brings_its_places_at_once)
{
    struct pool *late;

    pool_mine(pool)->places = 1;
    ck_assert(pool_take_place(pool));
    ck_assert(!pool_take_place(pool));
    late = join(2);
    ck_assert(pool_take_place(pool));
    ck_assert(pool_take_place(late));
    ck_assert(!pool_take_place(pool));
    ck_assert(!pool_take_place(late));
    pool_leave(late);
}
END_TEST

START_TEST(what_a_killed_process_held_is_free_as_soon_as_it_is_replaced)
{
    pid_t member = fork_member(0);
    struct pool *next;

    pool_mine(pool)->places = 1;
    ck_assert(pool_take_place(pool));
    ck_assert(!pool_take_place(pool));
    end_member(member);
    ck_assert(!pool_take_place(pool));
    next = join(1);
    ck_assert(pool_take_place(pool));
    ck_assert(!pool_take_place(pool));
    pool_leave(next);
    pool_meet(pool);
    pool_give_place(pool);
    ck_assert(!pool_take_place(pool));      /* its own place is left to it, and taken */
}
END_TEST

enum { RACES = 100000 };

struct racer {
    struct pool *pool;
    atomic_int  *arrived, *holding;     /* of both */
    int          won;
};

static void wait_for_both(struct racer *r, int meeting)
{
    ++*r->arrived;
    while (*r->arrived < 2 * meeting)
        sched_yield();
}

static void *race(void *arg)
{
    struct racer *r = arg;

    for (int i = 0; i < RACES; i++) {
        bool taken;

        wait_for_both(r, 2 * i + 1);
        taken = pool_take_place(r->pool);
        if (taken && ++*r->holding == 1)
            r->won++;
        wait_for_both(r, 2 * i + 2);
        if (taken) {
            --*r->holding;
            pool_give_place(r->pool);
        }
    }
    return NULL;
}

START_TEST(of_two_who_ask_for_the_last_place_at_once_one_gets_it)
{
    atomic_int arrived = 0, holding = 0;
    struct racer one = { join(1), &arrived, &holding, 0 };
    struct racer two = { join(0), &arrived, &holding, 0 };
    pthread_t racer;

    pthread_create(&racer, NULL, race, &two);
    race(&one);
    pthread_join(racer, NULL);
    ck_assert_int_eq(one.won + two.won, RACES);
    pool_leave(one.pool);
    pool_leave(two.pool);
}
END_TEST

START_TEST(pools_of_other_names_do_not_count)
{
    struct pool *other;

    ck_assert_int_eq(pool_join(dir, "other", &other, NULL), ERR_OK);
    ck_assert_uint_eq(pool_living(other, living, POOL_SLOTS), 1);
    pool_leave(other);
    pool_leave(NULL);
}
END_TEST

START_TEST(a_missing_folder_is_made_and_one_that_cannot_be_is_named)
{
    char path[200], long_name[5000];
    struct pool *other;
    struct err e = ERR_NONE;

    snprintf(path, sizeof path, "%s/new", dir);
    ck_assert_int_eq(pool_join(path, "x", &other, NULL), ERR_OK);
    pool_leave(other);
    snprintf(path, sizeof path, "%s/not/there", dir);
    ck_assert_int_eq(pool_join(path, "x", &other, &e), ERR_INTERNAL);
    ck_assert_ptr_nonnull(strstr(e.detail, path));
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert_int_eq(pool_join(dir, long_name, &other, &e), ERR_INTERNAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tc = tcase_create("pool");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, who_joins_has_a_slot_of_its_own_and_counts_as_living);
    tcase_add_test(tc, processes_see_each_other_and_a_killed_one_is_gone_at_once);
    tcase_add_test(tc, the_slot_of_a_dead_process_is_taken_again_and_begins_at_zero);
    tcase_add_test(tc, what_the_dead_have_counted_stays_in_the_totals);
    tcase_add_test(tc, who_only_looks_takes_no_slot_and_makes_no_file);
    tcase_add_test(tc, all_slots_can_be_taken_and_not_one_more);
    tcase_add_test(tc, the_least_active_is_a_sibling_that_takes_requests);
    tcase_add_test(tc, all_places_can_be_taken_by_whoever_asks_and_not_one_more);
    tcase_add_test(tc, who_joins_brings_its_places_at_once);
    tcase_add_test(tc, what_a_killed_process_held_is_free_as_soon_as_it_is_replaced);
    tcase_add_test(tc, of_two_who_ask_for_the_last_place_at_once_one_gets_it);
    tcase_add_test(tc, pools_of_other_names_do_not_count);
    tcase_add_test(tc, a_missing_folder_is_made_and_one_that_cannot_be_is_named);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
