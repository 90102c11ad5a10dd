/* A runner's hold on a task: no step begins that the lease does not cover, no document is used
 * that is not recorded, and whoever has lost its lease hears of it once. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "jobrunner/lease.h"
#include "lib/base/clock.h"
#include "tests/unit/task_support.h"

static struct hold  hold;
static struct lease lease;
static const char  *id;
static int          ready, losses;

static void on_ready(void *arg)
{
    (void)arg;
    ready++;
}

static void on_lost(void *arg)
{
    (void)arg;
    losses++;
}

/* A lease of which so much has passed. */
static void lease_of_age(int64_t ms)
{
    struct task_hold th = { &hold.task, hold.token, hold.consumer };

    lease_init(&lease, task_loop, task_redis, &task_settings, NULL, &th, clock_ms() - ms, on_lost,
               NULL);
}

static void setup(void)
{
    task_setup();
    task_dialog("s", 1);
    id = task_make("s");
    ck_assert_int_eq(task_take("one", &hold), TASK_RESERVED);
    ready = losses = 0;
}

static void teardown(void)
{
    lease_close(&lease);
    task_teardown();
}

static bool is_renewed(void)
{
    return atoll(task_field(id, "un")) > 1;
}

START_TEST(a_step_that_the_lease_covers_begins_at_once)
{
    lease_of_age(0);
    task_lease_passes(id);      /* to see a renewal */
    lease_step(&lease, 50000, "google", NULL, on_ready);
    ck_assert_int_eq(ready, 1);
    ck_assert(!is_renewed());
}
END_TEST

START_TEST(a_step_that_is_longer_than_what_is_left_waits_for_a_renewal)
{
    lease_of_age(20000);
    task_lease_passes(id);
    lease_step(&lease, 50000, "google", NULL, on_ready);
    ck_assert_int_eq(ready, 0);
    support_until_count(task_loop, &ready, 1);
    ck_assert(is_renewed());
    lease_step(&lease, 50000, "google", NULL, on_ready);
    ck_assert_int_eq(ready, 2);
}
END_TEST

START_TEST(a_step_longer_than_any_lease_begins_with_a_fresh_one)
{
    lease_of_age(20000);
    task_lease_passes(id);
    lease_step(&lease, 1000000, "google", NULL, on_ready);
    support_until_count(task_loop, &ready, 1);
    ck_assert(is_renewed());
}
END_TEST

START_TEST(a_document_is_recorded_before_the_step_and_renews_the_lease)
{
    lease_of_age(20000);
    task_lease_passes(id);
    lease_step(&lease, 50000, "google", "doc", on_ready);
    ck_assert_int_eq(ready, 0);
    support_until_count(task_loop, &ready, 1);
    ck_assert_str_eq(task_now(id).document, "doc");
    ck_assert_str_eq(task_now(id).store, "google");
    ck_assert(is_renewed());
}
END_TEST

START_TEST(a_lost_lease_is_told_once_and_no_step_begins)
{
    lease_of_age(_i == 2 ? 60000 : 0);
    task_ask("HSET c1:task:%s tk another", id);
    if (_i == 0)
        lease_renew(&lease);
    else
        lease_step(&lease, 1000, "google", _i == 1 ? "doc" : NULL, on_ready);
    support_until_count(task_loop, &losses, 1);
    lease_renew(&lease);
    support_turn(task_loop, 100);
    ck_assert_int_eq(losses, 1);
    ck_assert_int_eq(ready, 0);
}
END_TEST

START_TEST(it_is_renewed_every_third_of_its_time)
{
    task_settings.tasks.lease = 300;
    lease_of_age(0);
    for (int i = 0; i < 3; i++) {
        task_lease_passes(id);
        while (!is_renewed())
            support_turn(task_loop, 10);
    }
}
END_TEST

START_TEST(while_redis_is_away_it_goes_on_trying)
{
    lease_of_age(60000);
    support_redis_kill(task_server);
    lease_step(&lease, 1000, "google", _i ? "doc" : NULL, on_ready);
    support_turn(task_loop, 300);
    ck_assert_int_eq(ready + losses, 0);
    support_redis_again(task_server);
    support_until_count(task_loop, &ready, 1);
    ck_assert_int_eq(losses, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lease");
    TCase *t = tcase_create("lease"), *away = tcase_create("away");

    tcase_add_unchecked_fixture(t, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_step_that_the_lease_covers_begins_at_once);
    tcase_add_test(t, a_step_that_is_longer_than_what_is_left_waits_for_a_renewal);
    tcase_add_test(t, a_step_longer_than_any_lease_begins_with_a_fresh_one);
    tcase_add_test(t, a_document_is_recorded_before_the_step_and_renews_the_lease);
    tcase_add_loop_test(t, a_lost_lease_is_told_once_and_no_step_begins, 0, 3);
    tcase_add_test(t, it_is_renewed_every_third_of_its_time);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(away, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(away, setup, teardown);
    tcase_set_timeout(away, 60);
    tcase_add_loop_test(away, while_redis_is_away_it_goes_on_trying, 0, 2);
    suite_add_tcase(s, away);
    return support_run(s);
}
