/* The queue as a whole: whose turn it is, pauses, canaries, suspects, what the sweepers may take. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/task_support.h"

#define SESSION "c1:{default}:s:1:s"

static struct hold mine, theirs;

static void setup(void)
{
    task_setup();
    task_dialog("s", 2);
}

/* --- the line --- */

/* A task of another tenant, in line; by commands, as task_make knows one tenant only. */
static void put_other(const char *id)
{
    task_ask("HSET c1:task:%s tn other se s st pending nt 0 t0 1", id);
    task_ask("ZADD c1:{other}:idx:open 1 %s", id);
    task_ask("ZADD c1:tasks:tenants 0 other");
}

/* A quarter of it at a time. */
START_TEST(the_stream_is_kept_short_and_filled_up_as_tasks_end)
{
    for (int i = 0; i < 96; i++)
        task_make("s");
    task_expect("64", "XLEN c1:tasks:stream");
    task_expect("32", "ZCARD c1:tasks:waiting");
    for (int i = 0; i < 32; i++) {
        ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
        ck_assert(hold_finish(&mine, "doc"));
        ck_assert_int_gt(atoi(task_ask("XLEN c1:tasks:stream")), 48);
    }
    task_expect("64", "XLEN c1:tasks:stream");
    task_expect("0", "ZCARD c1:tasks:waiting");
    task_expect("0", "EXISTS c1:tasks:fair");
}
END_TEST

START_TEST(the_stream_holds_twice_what_all_runners_can_hold)
{
    task_settings.tasks.concurrency = 50;
    task_ask("XGROUP CREATECONSUMER c1:tasks:stream runners one");
    task_ask("XGROUP CREATECONSUMER c1:tasks:stream runners two");
    for (int i = 0; i < 250; i++)
        task_make("s");
    task_expect("64", "XLEN c1:tasks:stream");
    queue_wake_due();
    queue_wake_due();
    task_expect("200", "XLEN c1:tasks:stream");
}
END_TEST

START_TEST(a_tenant_with_one_task_does_not_wait_for_the_many_of_another)
{
    for (int i = 0; i < 1000; i++)
        task_make("s");
    put_other("o1");
    put_other("o2");
    ck_assert_int_eq(queue_reconcile(), 2);     /* they stand in line */
    for (int i = 0; i < 64 + 16 + 4; i++) {
        ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
        ck_assert(hold_finish(&mine, "doc"));
    }
    task_expect("finished", "HGET c1:task:o1 st");
    task_expect("finished", "HGET c1:task:o2 st");
}
END_TEST

START_TEST(a_tenant_that_has_left_the_line_stands_where_others_do)
{
    struct task_page p;
    char *id, *rest;

    for (int i = 0; i < 64 + 100; i++)
        task_make("s");
    p = task_page(TASK_PENDING, NULL, 100, "");
    rest = (char *)p.ids;
    while ((id = strsep(&rest, ",")) && *id)
        ck_assert_int_eq(task_do_remove(id, TASK_CANCEL), ERR_OK);
    task_expect("0", "EXISTS c1:tasks:waiting c1:tasks:fair");
    for (int i = 0; i < 9; i++)
        put_other(task_ask("ECHO o%d", i));
    ck_assert_int_eq(queue_reconcile(), 9);
    ck_assert_int_le(atoi(task_ask("ZRANK c1:tasks:waiting %s", task_make("s"))), 1);
}
END_TEST

START_TEST(within_a_tenant_the_first_comes_first)
{
    const char *ids[80];

    for (int i = 0; i < 80; i++)
        ids[i] = task_make("s");
    for (int i = 0; i < 80; i++) {
        ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
        ck_assert_str_eq(mine.task.id, ids[i]);
        ck_assert(hold_finish(&mine, "doc"));
    }
}
END_TEST

/* --- pauses --- */

static void canary_is_due(void)
{
    task_ask("HSET c1:tasks:control next 1");
    queue_wake_due();
}

static const char *paused_by(const char *code)
{
    const char *id = task_make("s");

    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(hold_pause(&mine, code), PAUSE_HELD);
    return id;
}

START_TEST(a_fault_of_configuration_pauses_the_queue_and_costs_no_attempt)
{
    const char *id = paused_by("misconfigured");
    struct task_queue_state s = queue_state();

    ck_assert(s.paused && !s.by_hand);
    ck_assert_str_eq(s.code, "misconfigured");
    ck_assert_str_eq(s.words, "why");
    ck_assert_int_ge(s.next_try, s.since + 60 * 1000);
    ck_assert_int_eq(task_now(id).attempts, 0);
    ck_assert_str_eq(task_now(id).error_code, "misconfigured");
    ck_assert_int_eq(task_now(id).status, TASK_PENDING);
    ck_assert_int_eq(hold_pause(&mine, "misconfigured"), PAUSE_HELD);   /* a lost reply */
    task_make("s");
    queue_wake_due();
    task_expect("0", "XLEN c1:tasks:stream");
    task_expect("2", "ZCARD c1:tasks:waiting");
    ck_assert_int_eq(queue_reconcile(), 0);
}
END_TEST

START_TEST(what_is_in_the_stream_when_the_pause_comes_goes_back_into_the_line)
{
    const char *second;
    struct hold h;

    task_make("s");
    second = task_make("s");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(hold_pause(&mine, "x"), PAUSE_HELD);
    ck_assert_int_eq(task_take("one", &h), TASK_SETTLED);
    ck_assert_int_eq(task_now(second).status, TASK_PENDING);
    ck_assert_int_eq(task_now(second).attempts, 0);
    task_expect("0", "XLEN c1:tasks:stream");
    task_expect("2", "ZCARD c1:tasks:waiting");
}
END_TEST

START_TEST(what_was_running_before_the_pause_ends_but_does_not_lift_it)
{
    task_make("s");
    ck_assert_int_eq(task_take("two", &theirs), TASK_RESERVED);
    paused_by("x");
    ck_assert(hold_finish(&theirs, "doc"));
    ck_assert(queue_state().paused);
}
END_TEST

START_TEST(one_canary_at_a_time_tries_for_all_and_lifts_the_pause)
{
    paused_by("x");
    task_make("s");
    task_make("s");
    queue_wake_due();
    task_expect("0", "XLEN c1:tasks:stream");       /* not yet */
    canary_is_due();
    canary_is_due();
    task_expect("1", "XLEN c1:tasks:stream");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert(hold_finish(&mine, "doc"));
    ck_assert(!queue_state().paused);
    task_expect("2", "XLEN c1:tasks:stream");
}
END_TEST

START_TEST(the_only_task_is_its_own_canary)
{
    const char *id = paused_by("x");

    canary_is_due();
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_str_eq(mine.task.id, id);
    ck_assert(hold_finish(&mine, "doc"));
    ck_assert(!queue_state().paused);
}
END_TEST

START_TEST(canaries_that_meet_the_fault_come_ever_more_rarely)
{
    static const int64_t minutes[] = { 1, 2, 4, 8, 10, 10 };

    paused_by("x");
    for (int i = 0; i < 6; i++) {
        int64_t wait;

        if (i > 0) {
            canary_is_due();
            ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
            ck_assert_int_eq(hold_pause(&mine, "x"), PAUSE_HELD);
        }
        wait = queue_state().next_try - atoll(task_ask("EVAL return(redis.call('TIME')[1]*1000) 0"));
        ck_assert_int_le(wait, minutes[i] * 60 * 1000 + 1000);
        ck_assert_int_ge(wait, minutes[i] * 60 * 1000 - 2000);
    }
}
END_TEST

/* Else one document that nobody may write to would hold up all others for ever. */
START_TEST(a_fault_that_the_canary_does_not_meet_is_the_tasks_own)
{
    const char *culprit = paused_by("x");

    task_make("s");
    canary_is_due();
    ck_assert_int_eq(task_take("one", &theirs), TASK_RESERVED);
    ck_assert_str_ne(theirs.task.id, culprit);
    ck_assert(hold_finish(&theirs, "doc"));
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_str_eq(mine.task.id, culprit);
    ck_assert_int_eq(hold_pause(&mine, "x"), PAUSE_OWN);
    ck_assert(!queue_state().paused);
    ck_assert_int_eq(task_now(culprit).status, TASK_RUNNING);
    ck_assert(hold_postpone(&mine, 0, true, "x"));
}
END_TEST

START_TEST(a_canary_that_dies_is_followed_by_another)
{
    struct hold next;

    paused_by("x");
    canary_is_due();
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert(hold_postpone(&mine, 1000, false, "away"));       /* learned nothing */
    task_make("s");
    canary_is_due();
    ck_assert_int_eq(task_take("one", &next), TASK_RESERVED);
    task_lease_passes(next.task.id);
    ck_assert_int_eq(task_take_entry("two", next.task.id, next.entry, &theirs), TASK_RESERVED);
    ck_assert(hold_finish(&theirs, "doc"));
    ck_assert(!queue_state().paused);
}
END_TEST

START_TEST(a_pause_by_hand_stays_until_it_is_lifted_by_hand)
{
    struct task_queue_state s;

    queue_hold(true);
    task_make("s");
    canary_is_due();
    task_expect("0", "XLEN c1:tasks:stream");
    s = queue_state();
    ck_assert(s.paused && s.by_hand && s.since > 0);
    ck_assert_str_eq(s.words, "because");
    ck_assert_int_eq(s.open, 1);
    ck_assert_int_eq(s.waiting, 1);
    ck_assert_int_eq(queue_hold(false), 0);
    ck_assert(!queue_state().paused);
    task_expect("1", "XLEN c1:tasks:stream");
}
END_TEST

START_TEST(going_on_by_hand_lifts_a_fault_as_well)
{
    paused_by("x");
    queue_hold(false);
    ck_assert(!queue_state().paused);
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
}
END_TEST

/* --- crashes --- */

/* Its runner died with it. */
static enum task_reserved dies_and_is_taken_over(struct hold *h, bool alone)
{
    struct hold next = { .consumer = "two", .alone = alone };

    task_lease_passes(h->task.id);
    snprintf(next.task.id, sizeof next.task.id, "%s", h->task.id);
    snprintf(next.entry, sizeof next.entry, "%s", h->entry);
    snprintf(next.token, sizeof next.token, "%016x", rand());
    *h = next;
    return task_take_again(h);
}

START_TEST(a_task_in_flight_in_two_crashes_runs_alone_next)
{
    const char *id = task_make("s");

    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, false), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, false), TASK_SUSPECT);
    ck_assert_int_eq(task_now(id).status, TASK_PENDING);
    ck_assert_int_eq(task_take_again(&mine), TASK_SUSPECT);
    mine.alone = true;
    ck_assert_int_eq(task_take_again(&mine), TASK_RESERVED);
    ck_assert_int_eq(task_take_again(&mine), TASK_RESERVED);
    ck_assert(hold_finish(&mine, "doc"));
    task_expect("0", "HEXISTS c1:task:%s cr", id);
}
END_TEST

START_TEST(only_a_crash_alone_makes_poison)
{
    task_make("s");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, true), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, true), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, false), TASK_POISON);
    ck_assert_int_eq(task_take_again(&mine), TASK_POISON);
    ck_assert(hold_fail(&mine, "poison", "it kills"));
    ck_assert_int_eq(task_now(mine.task.id).status, TASK_FAILED);
}
END_TEST

START_TEST(as_many_crashes_alone_as_are_set_make_poison)
{
    task_settings.tasks.crashes_alone = 3;
    task_make("s");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(dies_and_is_taken_over(&mine, true), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, true), TASK_POISON);
}
END_TEST

START_TEST(a_runner_that_was_only_slow_has_not_crashed)
{
    struct hold slow;

    task_make("s");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    for (int i = 0; i < 5; i++) {
        slow = mine;
        ck_assert_int_eq(dies_and_is_taken_over(&mine, false), TASK_RESERVED);
        ck_assert(!hold_renew(&slow));
        ck_assert(!hold_renew(&slow));
    }
    task_expect("0", "HGET c1:task:%s cr", mine.task.id);
}
END_TEST

START_TEST(a_task_that_was_tried_to_the_end_has_killed_nobody)
{
    task_make("s");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, false), TASK_RESERVED);
    ck_assert(hold_postpone(&mine, 0, true, "document_failed"));
    ck_assert_int_eq(queue_wake_due(), 1);
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(dies_and_is_taken_over(&mine, false), TASK_RESERVED);
}
END_TEST

START_TEST(a_task_handed_back_was_not_in_a_crash)
{
    task_make("s");
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
        ck_assert(hold_postpone(&mine, 0, false, ""));
        ck_assert_int_eq(queue_wake_due(), 1);
    }
}
END_TEST

/* --- sweepers --- */

START_TEST(only_a_document_that_its_task_does_not_need_may_be_trashed)
{
    const char *id = task_make("s");

    ck_assert(!queue_sweep_document(id, "doc1"));       /* it may be about to record it */
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert(hold_record(&mine, "doc1"));
    ck_assert(!queue_sweep_document(id, "doc1"));
    ck_assert(queue_sweep_document(id, "doc0"));
    ck_assert(queue_sweep_document("nosuchtask", "doc9"));
    ck_assert(!hold_record(&mine, "doc0"));
    ck_assert_str_eq(task_now(id).document, "doc1");
}
END_TEST

START_TEST(indexes_forget_what_has_expired_and_nothing_else)
{
    const char *kept, *gone;

    task_settings.tasks.ttl = 1;
    kept = task_make("s");
    gone = task_make("s");
    for (int i = 0; i < 300; i++)
        task_ask("XADD c1:{default}:idx:tasks * t expired%d", i);
    task_ask("DEL c1:task:%s", gone);
    support_turn(task_loop, 20);
    ck_assert_int_eq(queue_sweep_index(), 301);
    task_expect("1", "XLEN c1:{default}:idx:tasks");
    ck_assert_str_eq(task_page(-1, NULL, 10, "").ids, task_ask("ECHO %s,", kept));
    task_ask("DEL c1:task:%s", kept);
    ck_assert_int_eq(queue_sweep_index(), 1);
    task_expect("0", "EXISTS c1:{default}:idx:tasks c1:tasks:tenants");
}
END_TEST

/* More than one page of them, behind as many that failed and stay. */
START_TEST(the_index_of_failed_ones_forgets_the_cancelled_that_have_expired)
{
    task_settings.tasks.ttl = 1;
    for (int i = 0; i < 300; i++) {
        task_ask("XADD c1:{default}:idx:tasks * t expired%d", i);
        task_ask("ZADD c1:{default}:idx:failed 2 expired%d", i);
        task_ask("ZADD c1:{default}:idx:failed 1 stays%d", i);
        task_ask("HSET c1:task:stays%d tn default se s st failed", i);
    }
    task_ask("ZADD c1:tasks:tenants 0 default");
    support_turn(task_loop, 20);
    queue_sweep_index();
    task_expect("300", "ZCARD c1:{default}:idx:failed");
    task_expect("0", "ZCOUNT c1:{default}:idx:failed 2 2");
}
END_TEST

/* Only the record knows which session has the mark. */
START_TEST(a_session_forgets_a_task_when_its_record_is_about_to_expire)
{
    task_settings.tasks.ttl = 60 * 1000;
    task_put("old", "s");
    task_ask("XADD c1:{default}:idx:tasks 1-1 t old");
    task_ask("HSET " SESSION " t:old 1 tasks 1");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert(hold_finish(&mine, "doc"));
    ck_assert_int_eq(queue_sweep_index(), 0);
    task_expect("1", "HEXISTS " SESSION " t:old");
    task_ask("PEXPIRE c1:task:old 20000");
    ck_assert_int_eq(queue_sweep_index(), 0);
    task_expect("0", "HEXISTS " SESSION " t:old");
    ck_assert_int_eq(task_now("old").status, TASK_FINISHED);
}
END_TEST

START_TEST(a_session_with_ever_new_tasks_does_not_grow_without_bound)
{
    for (int i = 0; i < 300; i++)
        task_ask("HSET " SESSION " t:expired%d -1", i);
    for (int i = 0; i < 200; i++)
        task_make("s");
    ck_assert_int_lt(atoi(task_ask("HLEN " SESSION)), 200 + 100);
}
END_TEST

START_TEST(a_budget_gives_out_what_it_has_and_no_more)
{
    int given = 0;
    int64_t wait;

    while ((wait = queue_budget(60)) == 0)
        ck_assert_int_lt(given++, 20);
    ck_assert_int_ge(given, 10);        /* ten seconds' worth */
    ck_assert_int_le(wait, 1000);
    ck_assert_int_gt(wait, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("task_queue");
    TCase *t = tcase_create("queue");

    tcase_add_unchecked_fixture(t, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(t, setup, task_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_stream_is_kept_short_and_filled_up_as_tasks_end);
    tcase_add_test(t, the_stream_holds_twice_what_all_runners_can_hold);
    tcase_add_test(t, a_tenant_with_one_task_does_not_wait_for_the_many_of_another);
    tcase_add_test(t, a_tenant_that_has_left_the_line_stands_where_others_do);
    tcase_add_test(t, within_a_tenant_the_first_comes_first);
    tcase_add_test(t, a_fault_of_configuration_pauses_the_queue_and_costs_no_attempt);
    tcase_add_test(t, what_is_in_the_stream_when_the_pause_comes_goes_back_into_the_line);
    tcase_add_test(t, what_was_running_before_the_pause_ends_but_does_not_lift_it);
    tcase_add_test(t, one_canary_at_a_time_tries_for_all_and_lifts_the_pause);
    tcase_add_test(t, the_only_task_is_its_own_canary);
    tcase_add_test(t, canaries_that_meet_the_fault_come_ever_more_rarely);
    tcase_add_test(t, a_fault_that_the_canary_does_not_meet_is_the_tasks_own);
    tcase_add_test(t, a_canary_that_dies_is_followed_by_another);
    tcase_add_test(t, a_pause_by_hand_stays_until_it_is_lifted_by_hand);
    tcase_add_test(t, going_on_by_hand_lifts_a_fault_as_well);
    tcase_add_test(t, a_task_in_flight_in_two_crashes_runs_alone_next);
    tcase_add_test(t, only_a_crash_alone_makes_poison);
    tcase_add_test(t, as_many_crashes_alone_as_are_set_make_poison);
    tcase_add_test(t, a_runner_that_was_only_slow_has_not_crashed);
    tcase_add_test(t, a_task_that_was_tried_to_the_end_has_killed_nobody);
    tcase_add_test(t, a_task_handed_back_was_not_in_a_crash);
    tcase_add_test(t, only_a_document_that_its_task_does_not_need_may_be_trashed);
    tcase_add_test(t, indexes_forget_what_has_expired_and_nothing_else);
    tcase_add_test(t, the_index_of_failed_ones_forgets_the_cancelled_that_have_expired);
    tcase_add_test(t, a_session_forgets_a_task_when_its_record_is_about_to_expire);
    tcase_add_test(t, a_session_with_ever_new_tasks_does_not_grow_without_bound);
    tcase_add_test(t, a_budget_gives_out_what_it_has_and_no_more);
    suite_add_tcase(s, t);
    return support_run(s);
}
