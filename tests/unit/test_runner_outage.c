/* A runner whose Redis is killed, emptied, or loses what it had. Each test has its own Redis. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/runner_support.h"

static bool one_is_finished(void *arg)
{
    (void)arg;
    return fake.done > 0;
}

START_TEST(work_goes_on_by_itself_after_redis_was_killed)
{
    const char *first = task_make("s"), *second;

    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    support_redis_kill(task_server);
    fake_release();
    support_until_true(task_loop, one_is_finished, NULL);   /* and cannot be settled yet */
    support_turn(task_loop, 300);
    support_redis_again(task_server);
    until_status(first, TASK_FINISHED);
    ck_assert_int_eq(task_now(first).attempts, 1);
    second = task_make("s");
    until_status(second, TASK_FINISHED);
    ck_assert_int_eq(fake.begun, 2);
}
END_TEST

START_TEST(an_emptied_redis_gets_its_group_again)
{
    const char *id;

    machine_start(&machines[0]);
    until_it_reads();
    support_redis_flush(task_server);
    task_dialog("s", 1);
    id = task_make("s");
    until_status(id, TASK_FINISHED);
}
END_TEST

START_TEST(a_task_that_the_stream_lost_is_found_when_redis_is_back)
{
    const char *id = task_make("s");

    task_ask("DEL c1:tasks:stream");
    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
}
END_TEST

START_TEST(many_lost_tasks_are_all_found_at_once)
{
    enum { MANY = 250 };

    for (int i = 0; i < MANY; i++) {
        char id[16];

        snprintf(id, sizeof id, "lost%d", i);
        task_put(id, "s");
    }
    task_ask("DEL c1:tasks:stream");
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.done, MANY);
}
END_TEST

START_TEST(a_task_that_the_stream_lost_later_is_found_when_redis_is_back)
{
    const char *id;

    task_make("s");
    task_settings.tasks.concurrency = 1;
    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    support_turn(task_loop, 200);       /* it has looked for lost ones, too */
    id = task_make("s");                /* nobody reads it, as the only place is taken */
    task_ask("DEL c1:tasks:stream");
    task_ask("CLIENT KILL TYPE normal SKIPME yes");
    fake_release();
    until_status(id, TASK_FINISHED);
}
END_TEST

static bool is_renewed(void *arg)
{
    return atoll(task_field(arg, "un")) > 1;
}

START_TEST(leases_are_renewed_at_once_when_redis_is_back)
{
    const char *id = task_make("s");

    task_settings.tasks.lease = 180 * 1000;
    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    task_lease_passes(id);
    task_ask("CLIENT KILL TYPE normal SKIPME yes");
    support_until_true(task_loop, is_renewed, (void *)id);
}
END_TEST

START_TEST(entries_whose_handing_over_was_lost_are_found_among_our_own)
{
    const char *first = task_make("s"), *second, *consumer;

    task_settings.tasks.concurrency = 1;
    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    second = task_make("s");
    consumer = task_field(first, "co");
    ck_assert_str_ne(task_read(consumer), "");      /* and the reply is not the runner's */
    fake_release();
    until_status(first, TASK_FINISHED);
    until_it_reads();
    ck_assert_int_eq(task_now(second).status, TASK_PENDING);
    task_ask("CLIENT KILL TYPE normal SKIPME yes"); /* as the connection on which it was lost */
    until_status(second, TASK_FINISHED);
}
END_TEST

START_TEST(a_runner_stops_in_bounded_time_even_while_redis_is_away)
{
    task_make("s");
    task_settings.tasks.stop_timeout = 100;
    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    support_redis_kill(task_server);
    machine_stop(&machines[0]);
    support_until_count(task_loop, &machines[0].stopped, 1);
    support_redis_again(task_server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runner_outage");
    TCase *t = tcase_create("redis");

    tcase_add_checked_fixture(t, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(t, runner_setup, runner_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, work_goes_on_by_itself_after_redis_was_killed);
    tcase_add_test(t, an_emptied_redis_gets_its_group_again);
    tcase_add_test(t, a_task_that_the_stream_lost_is_found_when_redis_is_back);
    tcase_add_test(t, many_lost_tasks_are_all_found_at_once);
    tcase_add_test(t, a_task_that_the_stream_lost_later_is_found_when_redis_is_back);
    tcase_add_test(t, leases_are_renewed_at_once_when_redis_is_back);
    tcase_add_test(t, entries_whose_handing_over_was_lost_are_found_among_our_own);
    tcase_add_test(t, a_runner_stops_in_bounded_time_even_while_redis_is_away);
    suite_add_tcase(s, t);
    return support_run(s);
}
