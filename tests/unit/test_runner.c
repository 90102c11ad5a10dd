/* Runners over a real Redis and a store in the test's hands: how many at once, what becomes of
 * each verdict, of dead runners, lost leases and an orderly stop. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/lua_scripts.h"
#include "tests/unit/runner_support.h"

/* --- the straight road --- */

START_TEST(an_accepted_task_is_written_and_finished)
{
    const char *id = task_make("s");
    struct task t;

    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
    t = task_now(id);
    ck_assert_int_eq(t.attempts, 1);
    ck_assert_str_eq(t.store, "fake");
    ck_assert_int_eq(strncmp(t.document, "doc-", 4), 0);
    ck_assert_str_eq(t.error_code, "");
    task_expect("0", "XLEN c1:tasks:stream");
    task_expect("0", "ZCARD c1:{default}:idx:open");
    ck_assert_int_eq(fake.begun, 1);
}
END_TEST

START_TEST(a_task_accepted_while_the_runner_waits_is_begun_at_once)
{
    const char *id;
    int64_t before;

    machine_start(&machines[0]);
    until_it_reads();
    before = clock_ms();
    id = task_make("s");
    until_status(id, TASK_FINISHED);
    ck_assert_int_lt(clock_ms() - before, 1500);
}
END_TEST

START_TEST(a_dialog_comes_with_its_task)
{
    const char *id = task_make("s");

    task_ask("SCRIPT FLUSH");
    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
    ck_assert_ptr_nonnull(strstr(fake.html, "question 3"));
    task_expect("0", "SCRIPT EXISTS %s", lua_turn_page.sha1);   /* nobody asked for it */
}
END_TEST

START_TEST(the_document_is_the_dialog_as_it_was_at_acceptance)
{
    const char *id = task_make("s");

    task_ask("EVAL return(redis.call('RPUSH',KEYS[1],redis.call('LINDEX',KEYS[1],-1))) 1 "
             "c1:{default}:s:1:s:msgs");
    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
    ck_assert_ptr_nonnull(strstr(fake.html, "question 1"));
    ck_assert_ptr_nonnull(strstr(fake.html, "answer 3"));
    ck_assert_ptr_null(strstr(strstr(fake.html, "answer 3") + 1, "answer 3"));
    ck_assert_ptr_nonnull(strstr(fake.html, "</html>"));
}
END_TEST

/* The characters of two turns and a half. */
static int64_t two_turns(void)
{
    const char *id;
    int64_t count = 0;
    bool tag = false;

    task_dialog("one", 1);
    machine_start(&machines[0]);
    id = task_make("one");
    until_status(id, TASK_FINISHED);
    machine_kill(&machines[0]);
    for (const char *c = strstr(fake.html, "</table>"); *c; c++) {
        tag = tag || *c == '<';
        count += !tag;
        tag = tag && *c != '>';
    }
    return count * 5 / 2;
}

START_TEST(a_dialog_larger_than_a_document_comes_in_pages_and_no_turn_is_cut)
{
    const char *id;

    task_dialog("five", 5);
    fake.page_max = two_turns();
    machine_start(&machines[0]);
    id = task_make("five");
    until_status(id, TASK_FINISHED);
    ck_assert_uint_eq(fake.pages, 3);
    ck_assert_uint_eq(fake.page_ends[2], strlen(fake.html));
    for (int i = 0; i < 3; i++) {
        size_t from = i ? fake.page_ends[i - 1] : 0;
        char page[50000], turn[32];

        snprintf(page, sizeof page, "%.*s", (int)(fake.page_ends[i] - from), fake.html + from);
        ck_assert_int_eq(strncmp(page, "<!DOCTYPE", 9), 0);
        ck_assert_ptr_nonnull(strstr(page, "</html>"));
        for (int n = 1; n <= 5; n++) {
            snprintf(turn, sizeof turn, "question %d", n);
            ck_assert_int_eq(strstr(page, turn) != NULL, (n - 1) / 2 == i);
        }
        ck_assert_int_eq(strstr(page, "(part 2)") != NULL, i == 1);
    }
}
END_TEST

START_TEST(a_dialog_of_too_many_pages_is_told)
{
    const char *id;

    fake.page_max = 1;                  /* each turn its own */
    task_dialog("all", STORE_PAGES_MAX);
    task_dialog("many", STORE_PAGES_MAX + 1);
    machine_start(&machines[0]);
    id = task_make("all");
    until_status(id, TASK_FINISHED);
    ck_assert_uint_eq(fake.pages, STORE_PAGES_MAX);
    id = task_make("many");
    until_status(id, TASK_FAILED);
    ck_assert_str_eq(task_field(id, "ec"), "dialog_too_large");
}
END_TEST

START_TEST(a_long_dialog_is_read_whole_and_in_order)
{
    const char *id;
    const char *at = fake.html;

    task_dialog("long", 123);
    id = task_make("long");
    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
    for (int i = 1; i <= 123; i++) {
        char words[32];

        snprintf(words, sizeof words, "question %d", i);
        at = strstr(at, words);
        ck_assert_msg(at != NULL, "%s is missing or in another place", words);
    }
}
END_TEST

START_TEST(a_short_dialog_may_be_too_large_for_one_answer_of_redis)
{
    static const char enlarge[] =
        "for i = 0, 2 do "
        "    local turn = redis.call('LINDEX', KEYS[1], i) "
        "    local meta, rest = string.match(turn, '^(.-)}(.*)$') "
        "    if i == 2 then meta = string.gsub(meta, 'test.model', 'last-model') end "
        "    local pad = ',\"pad\":\"' .. string.rep('x', 3000000) .. '\"}' "
        "    redis.call('LSET', KEYS[1], i, meta .. pad .. rest) "
        "end";
    const char *id, *text = fake.html;

    free(support_redis_ask(task_server, "EVAL %s 1 c1:{default}:s:1:s:msgs", enlarge));
    id = task_make("s");
    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
    text = strstr(text, "last-model");      /* the head is about the last turn */
    ck_assert_ptr_nonnull(text);
    for (int i = 1; i <= 3; i++) {
        char answer[20];

        snprintf(answer, sizeof answer, "answer %d", i);
        text = strstr(text, answer);
        ck_assert_msg(text, "%s is missing or stands elsewhere", answer);
    }
}
END_TEST

START_TEST(a_dialog_without_turns_becomes_an_empty_document)
{
    const char *id;

    task_dialog("empty", 0);
    id = task_make("empty");
    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
    ck_assert_ptr_nonnull(strstr(fake.html, "</html>"));
}
END_TEST

/* --- many at once --- */

START_TEST(as_many_run_at_once_as_the_setting_says_and_no_more)
{
    const char *ids[10];

    fake.hold = true;
    for (int i = 0; i < 10; i++)
        ids[i] = task_make("s");
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 4);
    support_turn(task_loop, 200);
    ck_assert_int_eq(fake.open, 4);
    ck_assert_int_eq(machines[0].slot.active, 4);
    fake_release();
    for (int i = 0; i < 10; i++)
        until_status(ids[i], TASK_FINISHED);
    ck_assert_int_eq(fake.most_open, 4);
    ck_assert_int_eq(fake.begun, 10);
}
END_TEST

START_TEST(two_runners_share_the_tasks_and_none_is_written_twice)
{
    enum { MANY = 40 };
    const char *ids[MANY];

    for (int i = 0; i < MANY; i++)
        ids[i] = task_make("s");
    machine_start(&machines[0]);
    machine_start(&machines[1]);
    for (int i = 0; i < MANY; i++)
        until_status(ids[i], TASK_FINISHED);
    ck_assert_int_eq(fake.begun, MANY);
    ck_assert_uint_gt(machines[0].slot.counts.requests, 0);
    ck_assert_uint_gt(machines[1].slot.counts.requests, 0);
}
END_TEST

START_TEST(an_entry_without_a_task_is_cleared_away)
{
    const char *id;

    task_ask("XADD c1:tasks:stream * t nosuchtask");
    task_ask("XADD c1:tasks:stream * what ever");
    id = task_make("s");
    machine_start(&machines[0]);
    until_status(id, TASK_FINISHED);
    task_expect("0", "XLEN c1:tasks:stream");
}
END_TEST

/* --- verdicts --- */

START_TEST(a_passing_fault_is_tried_again)
{
    const char *id = task_make("s");

    task_settings.tasks.retry_base = 1;
    fake.verdict = STORE_TRY_AGAIN;
    machine_start(&machines[0]);
    until_field(id, "at", "2");
    fake.verdict = STORE_OK;
    until_status(id, TASK_FINISHED);
    ck_assert_str_eq(fake.known + strlen("doc-"), id);  /* a later try knows the document */
}
END_TEST

START_TEST(a_task_whose_attempts_are_used_up_has_failed)
{
    const char *id = task_make("s");
    struct task t;

    task_settings.tasks.retry_base = 1;
    task_settings.tasks.attempts = 2;
    fake.verdict = STORE_TRY_AGAIN;
    machine_start(&machines[0]);
    until_status(id, TASK_FAILED);
    t = task_now(id);
    ck_assert_int_eq(t.attempts, 2);
    ck_assert_str_eq(t.error_code, "document_failed");
    ck_assert_str_eq(t.error_detail, "the fake store says so");
    task_expect("-1", "PTTL c1:task:%s", id);
}
END_TEST

START_TEST(what_can_never_succeed_fails_at_once)
{
    const char *id = task_make("s");

    fake.verdict = STORE_IMPOSSIBLE;
    machine_start(&machines[0]);
    until_status(id, TASK_FAILED);
    ck_assert_int_eq(task_now(id).attempts, 1);
    ck_assert_str_eq(task_now(id).error_code, "document_refused");
}
END_TEST

START_TEST(a_dialog_that_is_gone_fails_its_task)
{
    const char *id = task_make("s");

    task_ask("DEL c1:{default}:s:1:s c1:{default}:s:1:s:msgs");
    if (_i == 1)                /* another took its name */
        task_ask("HSET c1:{default}:s:1:s created 9999999999999 updated 9999999999999 turns 0");
    if (_i == 2)                /* with as many turns */
        task_dialog("s", 3);
    if (_i == 2)
        task_ask("HSET c1:{default}:s:1:s created 9999999999999");
    if (_i == 3)                /* its turns are lost */
        task_ask("HSET c1:{default}:s:1:s created 1 updated 1 turns 3");
    machine_start(&machines[0]);
    until_status(id, TASK_FAILED);
    ck_assert_str_eq(task_now(id).error_code, "dialog_gone");
    ck_assert_int_eq(fake.begun, 0);
}
END_TEST

START_TEST(a_turn_that_cannot_be_read_fails_its_task)
{
    const char *id = task_make("s");

    task_ask("LSET c1:{default}:s:1:s:msgs %d rubbish", _i);
    machine_start(&machines[0]);
    until_status(id, TASK_FAILED);
    ck_assert_str_eq(task_now(id).error_code, "dialog_broken");
}
END_TEST

START_TEST(a_dialog_that_redis_cannot_read_fails_its_task)
{
    const char *id = task_make("s");

    task_settings.tasks.attempts = 2;
    task_ask("SET c1:{default}:s:1:s:msgs x");
    machine_start(&machines[0]);
    until_status(id, TASK_FAILED);
    ck_assert_str_eq(task_now(id).error_code, "dialog_unreadable");
    ck_assert_int_eq(task_now(id).attempts, 2);
}
END_TEST

/* --- leases --- */

START_TEST(the_tasks_of_a_dead_runner_are_taken_over_by_another)
{
    const char *id = task_make("s");

    task_settings.tasks.lease = 600;
    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    machine_kill(&machines[0]);
    ck_assert_int_eq(task_now(id).status, TASK_RUNNING);
    fake.hold = false;
    machine_start(&machines[1]);
    until_status(id, TASK_FINISHED);
    ck_assert_int_eq(task_now(id).attempts, 2);
    ck_assert_int_eq(strncmp(fake.known, "doc-", 4), 0);
}
END_TEST

/* Tasks that a runner held which is dead for long. */
static void leave_behind(int count)
{
    struct hold h;

    for (int i = 0; i < count; i++) {
        task_make("s");
        ck_assert_int_eq(task_take("dead", &h), TASK_RESERVED);
        task_lease_passes(h.task.id);
        task_ask("XCLAIM c1:tasks:stream runners dead 0 %s IDLE 100000 JUSTID", h.entry);
    }
}

/* Redis may have been away just before, and then those who hold the tasks have yet to renew. */
START_TEST(a_runner_that_comes_takes_nothing_over_for_the_time_of_a_lease)
{
    int64_t before;

    leave_behind(1);
    task_settings.tasks.lease = 600;
    before = clock_ms();
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.done, 1);
    ck_assert_int_ge(clock_ms() - before, 590);
}
END_TEST

START_TEST(many_tasks_left_behind_are_taken_over_as_places_come_free)
{
    enum { MANY = 60 };
    int64_t before;

    leave_behind(MANY);
    task_settings.tasks.lease = 1200;
    before = clock_ms();
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.done, MANY);
    /* At each half lease as many as there are places, it would be nine seconds. */
    ck_assert_int_lt(clock_ms() - before, 5000);
    ck_assert_int_eq(fake.most_open, 4);
}
END_TEST

START_TEST(an_entry_too_many_is_kept_for_the_next_free_place)
{
    const char *id;
    int64_t before;

    leave_behind(1);
    task_settings.tasks.lease = 2000;
    task_settings.tasks.concurrency = 1;
    fake.hold = true;
    machine_start(&machines[0]);            /* a read waits, and takes what comes */
    support_until_count(task_loop, &fake.proceeded, 1);     /* but the place was claimed for */
    id = task_make("s");
    support_turn(task_loop, 100);
    before = clock_ms();
    fake_release();
    until_status(id, TASK_FINISHED);
    ck_assert_int_lt(clock_ms() - before, 1500);            /* and not a lease later */
}
END_TEST

START_TEST(a_lease_is_renewed_as_long_as_the_work_lasts)
{
    const char *id = task_make("s");

    task_settings.tasks.lease = 300;
    fake.step_ms = 10;
    fake.hold = true;
    machine_start(&machines[0]);
    machine_start(&machines[1]);
    support_until_count(task_loop, &fake.proceeded, 1);
    support_turn(task_loop, 1500);
    ck_assert_int_eq(fake.begun, 1);
    fake_release();
    until_status(id, TASK_FINISHED);
    ck_assert_int_eq(task_now(id).attempts, 1);
}
END_TEST

START_TEST(whoever_lost_its_lease_stops_and_leaves_the_task_alone)
{
    const char *id = task_make("s");

    task_settings.tasks.lease = 900;
    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    task_ask("HSET c1:task:%s tk another un 9999999999999", id);
    support_until_count(task_loop, &fake.cancelled, 1);
    ck_assert_str_eq(task_field(id, "tk"), "another");
    ck_assert_int_eq(task_now(id).status, TASK_RUNNING);
}
END_TEST

START_TEST(a_document_is_recorded_before_the_store_may_go_on)
{
    const char *id = task_make("s");

    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    ck_assert_int_eq(strncmp(task_now(id).document, "doc-", 4), 0);
    ck_assert_int_eq(task_now(id).status, TASK_RUNNING);
}
END_TEST

START_TEST(a_document_that_may_not_be_recorded_is_not_filled)
{
    const char *id = task_make("s");

    task_ask("ZADD c1:tasks:swept 1 doc-%s", id);
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.cancelled, 1);
    ck_assert_int_eq(fake.proceeded, 0);
}
END_TEST

/* --- stopping --- */

START_TEST(a_stopped_runner_finishes_what_is_in_flight_and_takes_nothing_new)
{
    const char *first = task_make("s"), *second;

    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    machine_stop(&machines[0]);
    second = task_make("s");
    support_turn(task_loop, 200);
    ck_assert_int_eq(machines[0].stopped, 0);
    fake_release();
    support_until_count(task_loop, &machines[0].stopped, 1);
    ck_assert_int_eq(task_now(first).status, TASK_FINISHED);
    ck_assert_int_eq(task_now(second).status, TASK_PENDING);
    ck_assert_int_eq(task_now(second).attempts, 0);
}
END_TEST

START_TEST(a_runner_that_waits_for_tasks_stops_at_once)
{
    int64_t before;

    machine_start(&machines[0]);
    until_it_reads();
    before = clock_ms();
    machine_stop(&machines[0]);
    support_until_count(task_loop, &machines[0].stopped, 1);
    ck_assert_int_lt(clock_ms() - before, 1000);
}
END_TEST

START_TEST(what_is_handed_to_a_runner_that_stops_is_handed_back)
{
    machine_start(&machines[0]);
    until_it_reads();
    task_put("late", "s");      /* is on its way now */
    machine_stop(&machines[0]);
    support_until_count(task_loop, &machines[0].stopped, 1);
    ck_assert_int_eq(task_now("late").status, TASK_PENDING);
    ck_assert_int_eq(task_now("late").attempts, 0);
    task_expect("late", "ZRANGE c1:tasks:due 0 -1");
    ck_assert_int_eq(fake.begun, 0);
}
END_TEST

START_TEST(what_takes_too_long_to_stop_is_handed_back_uncounted_and_another_does_it)
{
    const char *id = task_make("s");

    task_settings.tasks.stop_timeout = 100;
    fake.hold = true;
    machine_start(&machines[0]);
    support_until_count(task_loop, &fake.proceeded, 1);
    machine_stop(&machines[0]);
    support_until_count(task_loop, &machines[0].stopped, 1);
    ck_assert_int_eq(fake.cancelled, 1);
    ck_assert_int_eq(task_now(id).status, TASK_PENDING);
    ck_assert_int_eq(task_now(id).attempts, 0);
    fake.hold = false;
    machine_start(&machines[1]);
    until_status(id, TASK_FINISHED);
    ck_assert_int_eq(task_now(id).attempts, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runner");
    TCase *t = tcase_create("redis");

    tcase_add_unchecked_fixture(t, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(t, runner_setup, runner_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_dialog_larger_than_a_document_comes_in_pages_and_no_turn_is_cut);
    tcase_add_test(t, a_dialog_of_too_many_pages_is_told);
    tcase_add_test(t, an_accepted_task_is_written_and_finished);
    tcase_add_test(t, a_task_accepted_while_the_runner_waits_is_begun_at_once);
    tcase_add_test(t, a_dialog_comes_with_its_task);
    tcase_add_test(t, the_document_is_the_dialog_as_it_was_at_acceptance);
    tcase_add_test(t, a_long_dialog_is_read_whole_and_in_order);
    tcase_add_test(t, a_short_dialog_may_be_too_large_for_one_answer_of_redis);
    tcase_add_test(t, a_dialog_without_turns_becomes_an_empty_document);
    tcase_add_test(t, as_many_run_at_once_as_the_setting_says_and_no_more);
    tcase_add_test(t, two_runners_share_the_tasks_and_none_is_written_twice);
    tcase_add_test(t, an_entry_without_a_task_is_cleared_away);
    tcase_add_test(t, a_passing_fault_is_tried_again);
    tcase_add_test(t, a_task_whose_attempts_are_used_up_has_failed);
    tcase_add_test(t, what_can_never_succeed_fails_at_once);
    tcase_add_loop_test(t, a_dialog_that_is_gone_fails_its_task, 0, 4);
    tcase_add_loop_test(t, a_turn_that_cannot_be_read_fails_its_task, 0, 3);
    tcase_add_test(t, a_dialog_that_redis_cannot_read_fails_its_task);
    tcase_add_test(t, the_tasks_of_a_dead_runner_are_taken_over_by_another);
    tcase_add_test(t, a_runner_that_comes_takes_nothing_over_for_the_time_of_a_lease);
    tcase_add_test(t, many_tasks_left_behind_are_taken_over_as_places_come_free);
    tcase_add_test(t, an_entry_too_many_is_kept_for_the_next_free_place);
    tcase_add_test(t, a_lease_is_renewed_as_long_as_the_work_lasts);
    tcase_add_test(t, whoever_lost_its_lease_stops_and_leaves_the_task_alone);
    tcase_add_test(t, a_document_is_recorded_before_the_store_may_go_on);
    tcase_add_test(t, a_document_that_may_not_be_recorded_is_not_filled);
    tcase_add_test(t, a_stopped_runner_finishes_what_is_in_flight_and_takes_nothing_new);
    tcase_add_test(t, a_runner_that_waits_for_tasks_stops_at_once);
    tcase_add_test(t, what_is_handed_to_a_runner_that_stops_is_handed_back);
    tcase_add_test(t, what_takes_too_long_to_stop_is_handed_back_uncounted_and_another_does_it);
    suite_add_tcase(s, t);
    return support_run(s);
}
