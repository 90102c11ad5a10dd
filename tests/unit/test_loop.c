/* The event loop, its timers and signals. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/io/loop.h"
#include "tests/unit/support.h"

static struct loop *loop;
static struct timer timer, other;
static int fired, other_fired;

static void on_timer(void *arg)
{
    (void)arg;
    fired++;
}

static void on_other(void *arg)
{
    (void)arg;
    other_fired++;
    loop_stop(loop);
}

static void setup(void)
{
    fired = other_fired = 0;
    loop = loop_new();
    ck_assert_ptr_nonnull(loop);
    timer_init(&timer, loop, on_timer, NULL);
    timer_init(&other, loop, on_other, NULL);
}

static void teardown(void)
{
    timer_stop(&timer);
    timer_stop(&other);
    loop_free(loop);
}

START_TEST(a_timer_of_0_ms_fires_once_in_the_next_turn_and_not_in_the_call)
{
    timer_set(&timer, 0);
    ck_assert_int_eq(fired, 0);
    ck_assert(timer_running(&timer));
    timer_set(&other, 20);
    loop_run(loop);
    ck_assert_int_eq(fired, 1);
    ck_assert(!timer_running(&timer));
}
END_TEST

static struct timer third;

static void on_third(void *arg)
{
    (void)arg;
    timer_set(&other, 0);       /* in the next turn, which is the last */
    timer_set_soon(&timer);
    ck_assert_int_eq(fired, 0);
}

START_TEST(soon_is_in_this_turn_of_the_loop_but_never_at_once)
{
    timer_init(&third, loop, on_third, NULL);
    timer_set(&third, 0);
    loop_run(loop);
    ck_assert_int_eq(fired, 1);
    timer_set_soon(&timer);
    timer_stop(&timer);
    timer_set(&other, 20);
    loop_run(loop);
    ck_assert_int_eq(fired, 1);
}
END_TEST

START_TEST(a_timer_set_again_counts_from_then)
{
    timer_set(&timer, 0);
    timer_set(&timer, 60000);
    timer_set(&other, 20);
    loop_run(loop);
    ck_assert_int_eq(fired, 0);
    ck_assert(timer_running(&timer));
}
END_TEST

START_TEST(a_stopped_timer_does_not_fire)
{
    timer_set(&timer, 0);
    timer_stop(&timer);
    ck_assert(!timer_running(&timer));
    timer_set(&other, 10);
    loop_run(loop);
    ck_assert_int_eq(fired, 0);
}
END_TEST

START_TEST(a_timer_that_was_never_set_up_can_be_stopped_and_does_not_run)
{
    struct timer zeroed = { 0 };

    timer_stop(&zeroed);
    ck_assert(!timer_running(&zeroed));
}
END_TEST

static void on_again(void *arg)
{
    if (++fired < 1000)
        timer_set(arg, 0);
}

START_TEST(a_timer_that_sets_itself_to_0_lets_the_others_run)
{
    timer_init(&timer, loop, on_again, &timer);
    timer_set(&timer, 0);
    timer_set(&other, 0);
    loop_run(loop);
    ck_assert_int_eq(other_fired, 1);
    ck_assert_int_lt(fired, 1000);
}
END_TEST

START_TEST(a_stop_that_was_asked_for_before_the_run_is_kept_and_only_once)
{
    loop_stop(loop);
    loop_run(loop);
    timer_set(&other, 0);
    loop_run(loop);
    ck_assert_int_eq(other_fired, 1);
}
END_TEST

START_TEST(a_signal_calls_the_latest_function_from_the_loop)
{
    ck_assert(loop_on_signal(loop, SIGUSR1, on_timer, NULL));
    ck_assert(loop_on_signal(loop, SIGUSR1, on_other, NULL));
    raise(SIGUSR1);
    ck_assert_int_eq(other_fired, 0);
    loop_run(loop);
    ck_assert_int_eq(other_fired, 1);
    ck_assert_int_eq(fired, 0);
}
END_TEST

START_TEST(a_pipe_that_nobody_reads_is_an_error_and_no_signal)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    ck_assert_int_eq(write(ends[1], "x", 1), -1);
    close(ends[1]);
}
END_TEST

START_TEST(the_limit_of_open_files_rises_to_the_hard_one)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max / 2;
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_int_eq(loop_raise_file_limit(), limit.rlim_max);
    getrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tc = tcase_create("loop");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_timer_of_0_ms_fires_once_in_the_next_turn_and_not_in_the_call);
    tcase_add_test(tc, soon_is_in_this_turn_of_the_loop_but_never_at_once);
    tcase_add_test(tc, a_timer_set_again_counts_from_then);
    tcase_add_test(tc, a_stopped_timer_does_not_fire);
    tcase_add_test(tc, a_timer_that_was_never_set_up_can_be_stopped_and_does_not_run);
    tcase_add_test(tc, a_timer_that_sets_itself_to_0_lets_the_others_run);
    tcase_add_test(tc, a_stop_that_was_asked_for_before_the_run_is_kept_and_only_once);
    tcase_add_test(tc, a_signal_calls_the_latest_function_from_the_loop);
    tcase_add_test(tc, a_pipe_that_nobody_reads_is_an_error_and_no_signal);
    tcase_add_test(tc, the_limit_of_open_files_rises_to_the_hard_one);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
