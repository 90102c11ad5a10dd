/* A task as runners see it: reserved, renewed, settled, and never by two at a time. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/task_support.h"

#define SESSION "c1:{default}:s:1:s"

static struct hold mine, theirs;
static const char *id;

/* A task of the session "s", reserved by runner one. */
static void setup_reserved(void)
{
    task_setup();
    task_dialog("s", 2);
    id = task_make("s");
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
}

/* ... whose lease passed, and which runner two took over. */
static void setup_taken_over(void)
{
    setup_reserved();
    task_lease_passes(id);
    ck_assert_int_eq(task_take_entry("two", id, mine.entry, &theirs), TASK_RESERVED);
}

/* --- reserving --- */

START_TEST(a_reserved_task_is_running_under_a_lease_and_an_attempt_is_counted)
{
    struct task t = task_now(id);

    ck_assert_int_eq(t.status, TASK_RUNNING);
    ck_assert_int_eq(t.attempts, 1);
    ck_assert_int_ge(t.started_at, t.created_at);
    ck_assert_str_eq(mine.task.session, "s");
    ck_assert_int_eq(mine.task.turns, 2);
    ck_assert_str_eq(task_field(id, "tk"), mine.token);
    ck_assert_int_ge(atoll(task_field(id, "un")), t.started_at + task_settings.tasks.lease);
}
END_TEST

START_TEST(a_reservation_repeated_after_a_lost_reply_counts_once)
{
    ck_assert_int_eq(task_take_again(&mine), TASK_RESERVED);
    ck_assert_int_eq(mine.task.attempts, 1);
    ck_assert_int_eq(mine.task.tries, 1);
}
END_TEST

START_TEST(while_the_lease_lives_nobody_else_gets_the_task)
{
    ck_assert_int_eq(task_take_entry("two", id, mine.entry, &theirs), TASK_HELD);
    ck_assert_str_eq(task_field(id, "tk"), mine.token);
    task_expect("1", "XLEN c1:tasks:stream");
}
END_TEST

START_TEST(a_task_whose_lease_has_passed_is_taken_over)
{
    ck_assert_int_eq(theirs.task.attempts, 2);
    ck_assert_str_eq(task_field(id, "tk"), theirs.token);
    ck_assert_ptr_nonnull(strstr(task_ask("XPENDING c1:tasks:stream runners - + 9"), "two"));
}
END_TEST

START_TEST(a_stalled_runner_that_wakes_up_after_its_lease_can_change_nothing)
{
    const char *before, *pending;

    ck_assert(!hold_renew(&mine));      /* it speaks: so it did not crash, which is noted */
    before = task_ask("HGETALL c1:task:%s", id);
    pending = task_ask("XPENDING c1:tasks:stream runners");

    ck_assert(!hold_renew(&mine));
    ck_assert(!hold_record(&mine, "doc"));
    ck_assert(!hold_finish(&mine, "doc"));
    ck_assert(!hold_postpone(&mine, 0, true, "x"));
    ck_assert_int_eq(hold_pause(&mine, "x"), PAUSE_LOST);
    ck_assert(!hold_fail(&mine, "x", "y"));
    task_expect(before, "HGETALL c1:task:%s", id);
    task_expect(pending, "XPENDING c1:tasks:stream runners");
    task_expect("0", "ZCARD c1:tasks:due");
    task_expect("1", "HGET " SESSION " tasks");
    ck_assert(hold_finish(&theirs, "doc"));
}
END_TEST

START_TEST(a_lease_that_passed_is_renewed_as_long_as_nobody_took_the_task)
{
    task_lease_passes(id);
    ck_assert(hold_renew(&mine));
    ck_assert_int_eq(task_take_entry("two", id, mine.entry, &theirs), TASK_HELD);
}
END_TEST

START_TEST(a_renewal_ends_the_entrys_idleness_and_keeps_it_in_our_hands)
{
    task_ask("XCLAIM c1:tasks:stream runners two 0 %s IDLE 100000 JUSTID", mine.entry);
    ck_assert(hold_renew(&mine));
    task_expect("", "XPENDING c1:tasks:stream runners IDLE 50000 - + 9");
    ck_assert_ptr_nonnull(strstr(task_ask("XPENDING c1:tasks:stream runners - + 9"), "one"));
}
END_TEST

START_TEST(an_entry_of_a_settled_or_missing_task_is_deleted)
{
    const char *stray = task_ask("XADD c1:tasks:stream * t nosuchtask");
    struct hold h;

    task_read("two");
    ck_assert_int_eq(task_take_entry("two", "nosuchtask", stray, &h), TASK_SETTLED);
    ck_assert_int_eq(task_take_entry("two", "not an id", stray, &h), TASK_SETTLED);
    ck_assert(hold_finish(&mine, "doc"));
    stray = task_ask("XADD c1:tasks:stream * t %s", id);
    task_read("two");
    ck_assert_int_eq(task_take_entry("two", id, stray, &h), TASK_SETTLED);
    task_expect("0", "XLEN c1:tasks:stream");
    ck_assert_int_eq(task_ask("XPENDING c1:tasks:stream runners")[0], '0');
}
END_TEST

START_TEST(a_task_rung_twice_is_done_once)
{
    const char *second = task_ask("XADD c1:tasks:stream * t %s", id);

    task_read("two");
    ck_assert_int_eq(task_take_entry("two", id, second, &theirs), TASK_SETTLED);
    task_lease_passes(id);
    ck_assert_int_eq(task_take_entry("two", id, second, &theirs), TASK_SETTLED);
    ck_assert(hold_renew(&mine));
    task_expect("1", "XLEN c1:tasks:stream");
}
END_TEST

/* --- settling --- */

static void expect_out_of_the_stream(void)
{
    task_expect("0", "XLEN c1:tasks:stream");
    ck_assert_int_eq(task_ask("XPENDING c1:tasks:stream runners")[0], '0');
}

START_TEST(a_finished_task_leaves_stream_and_index_and_its_record_expires)
{
    struct task t;

    ck_assert(hold_record(&mine, "doc1"));
    ck_assert(hold_finish(&mine, "doc1"));
    t = task_now(id);
    ck_assert_int_eq(t.status, TASK_FINISHED);
    ck_assert_int_ge(t.finished_at, t.started_at);
    ck_assert_str_eq(t.document, "doc1");
    ck_assert_str_eq(t.store, "google");
    expect_out_of_the_stream();
    task_expect("0", "ZCARD c1:{default}:idx:open");
    ck_assert_int_gt(atoll(task_ask("PTTL c1:task:%s", id)), 7000 * 1000);
}
END_TEST

/* Also when an error's words had made it large. */
START_TEST(a_finished_record_is_small)
{
    ck_assert(hold_postpone(&mine, 0, true, "document_failed"));
    task_ask("HSET c1:task:%s ed %s", id, "words-of-more-than-sixty-four-bytes-which-make-a-"
             "hash-table-of-what-was-a-list");
    ck_assert_int_eq(queue_wake_due(), 1);
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    task_expect("hashtable", "OBJECT ENCODING c1:task:%s", id);
    ck_assert(hold_finish(&mine, "1aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789_-abcde"));
    ck_assert_int_le(atoi(task_ask("MEMORY USAGE c1:task:%s SAMPLES 0", id)), 450);
    task_expect("listpack", "OBJECT ENCODING c1:task:%s", id);
}
END_TEST

START_TEST(the_dialog_expires_again_once_the_last_of_its_tasks_is_finished)
{
    struct hold other;

    task_make("s");
    ck_assert_int_eq(task_take("one", &other), TASK_RESERVED);
    ck_assert(hold_finish(&mine, "doc"));
    task_expect("-1", "PTTL " SESSION);
    ck_assert(hold_finish(&other, "doc"));
    ck_assert_int_gt(atoll(task_ask("PTTL " SESSION)), 3500 * 1000);
    ck_assert_int_gt(atoll(task_ask("PTTL " SESSION ":msgs")), 3500 * 1000);
    task_expect("0", "HEXISTS " SESSION " tasks");
}
END_TEST

START_TEST(the_dialog_of_a_failed_task_stays_for_another_try)
{
    ck_assert(hold_fail(&mine, "x", "y"));
    task_expect("-1", "PTTL " SESSION);
    task_expect("-1", "PTTL " SESSION ":msgs");
    task_expect("1", "HGET " SESSION " tasks");
}
END_TEST

START_TEST(a_dialog_that_is_kept_for_ever_stays_so)
{
    task_settings.session.ttl = 0;
    ck_assert(hold_finish(&mine, "doc"));
    task_expect("-1", "PTTL " SESSION);
}
END_TEST

START_TEST(a_session_that_took_the_name_of_a_deleted_one_is_left_alone)
{
    task_ask("DEL " SESSION " " SESSION ":msgs");
    task_ask("HSET " SESSION " created 9999999999999 tasks 1");
    ck_assert(hold_finish(&mine, "doc"));
    task_expect("1", "HGET " SESSION " tasks");
    task_expect("-1", "PTTL " SESSION);
}
END_TEST

START_TEST(a_deleted_session_does_not_come_back_with_the_settlement)
{
    task_ask("DEL " SESSION " " SESSION ":msgs");
    ck_assert(hold_fail(&mine, "dialog_gone", "gone"));
    task_expect("0", "EXISTS " SESSION);
}
END_TEST

START_TEST(a_failed_task_tells_why_and_never_expires)
{
    struct task t;

    ck_assert(hold_record(&mine, "doc1"));
    ck_assert(hold_fail(&mine, "dialog_gone", "It is gone."));
    t = task_now(id);
    ck_assert_int_eq(t.status, TASK_FAILED);
    ck_assert_str_eq(t.error_code, "dialog_gone");
    ck_assert_str_eq(t.error_detail, "It is gone.");
    ck_assert_str_eq(t.document, "doc1");
    ck_assert_int_gt(t.finished_at, 0);
    task_expect("-1", "PTTL c1:task:%s", id);
    expect_out_of_the_stream();
    task_expect("0", "ZCARD c1:{default}:idx:open");
}
END_TEST

START_TEST(an_errors_words_are_cut_to_what_a_record_holds)
{
    char words[1000];
    struct task t;

    for (size_t i = 0; i + 2 < sizeof words; i += 2)
        memcpy(words + i, "\xc3\xa4", 3);
    ck_assert(hold_fail(&mine, "x", words));
    t = task_now(id);
    ck_assert_uint_eq(strlen(t.error_detail), 254);
}
END_TEST

START_TEST(a_postponed_task_is_pending_and_waits_in_the_due_set)
{
    struct task t;

    ck_assert(hold_postpone(&mine, 60000, true, "document_failed"));
    t = task_now(id);
    ck_assert_int_eq(t.status, TASK_PENDING);
    ck_assert_int_eq(t.attempts, 1);
    ck_assert_str_eq(t.error_code, "document_failed");
    expect_out_of_the_stream();
    task_expect("1", "ZCARD c1:{default}:idx:open");
    ck_assert_int_eq(queue_wake_due(), 0);
    task_expect("0", "XLEN c1:tasks:stream");
    task_expect("1", "HGET " SESSION " tasks");
}
END_TEST

START_TEST(a_try_that_does_not_count_gives_its_attempt_back_but_lengthens_the_wait)
{
    ck_assert(hold_postpone(&mine, 0, false, "document_store_away"));
    ck_assert_int_eq(task_now(id).attempts, 0);
    ck_assert_int_eq(task_now(id).tries, 1);
}
END_TEST

START_TEST(a_task_handed_back_is_as_if_it_had_not_been_tried)
{
    ck_assert(hold_postpone(&mine, 0, false, ""));
    ck_assert_int_eq(task_now(id).attempts, 0);
    ck_assert_int_eq(task_now(id).tries, 0);
    ck_assert_str_eq(task_now(id).error_code, "");
}
END_TEST

START_TEST(a_due_task_goes_back_into_the_stream_and_can_be_reserved)
{
    ck_assert(hold_postpone(&mine, 0, true, "document_failed"));
    ck_assert_int_eq(queue_wake_due(), 1);
    ck_assert_int_eq(queue_wake_due(), 0);
    task_expect("0", "ZCARD c1:tasks:due");
    ck_assert_int_eq(task_take("two", &theirs), TASK_RESERVED);
    ck_assert_int_eq(theirs.task.attempts, 2);
    ck_assert(!hold_renew(&mine));
    ck_assert(hold_finish(&theirs, "doc"));
    ck_assert_str_eq(task_now(id).error_code, "");
}
END_TEST

START_TEST(many_due_tasks_are_woken_in_portions)
{
    for (int i = 0; i < TASK_WAKE_MAX + 5; i++) {
        task_ask("HSET c1:task:due%d tn default se s st pending nt 0 t0 1", i);
        task_ask("ZADD c1:tasks:due 1 due%d", i);
    }
    task_ask("ZADD c1:tasks:due 0 gone");
    ck_assert_int_eq(queue_wake_due(), TASK_WAKE_MAX - 1);
    ck_assert_int_eq(queue_wake_due(), 6);
    task_expect("0", "ZCARD c1:tasks:due");
}
END_TEST

/* --- lost replies --- */

START_TEST(each_settlement_repeated_under_its_token_says_held_and_changes_nothing)
{
    const char *before;

    for (int again = 0; again < 2; again++)
        ck_assert(_i == 0 ? hold_finish(&mine, "doc") :
                  _i == 1 ? hold_fail(&mine, "x", "y") : hold_postpone(&mine, 60000, false, "x"));
    before = task_ask("HGETALL c1:task:%s", id);
    ck_assert(_i == 0 ? hold_finish(&mine, "other") :
              _i == 1 ? hold_fail(&mine, "z", "z") : hold_postpone(&mine, 1, false, "z"));
    task_expect(before, "HGETALL c1:task:%s", id);
    task_expect(_i == 2 ? "1" : "0", "ZCARD c1:{default}:idx:open");
    task_expect(_i == 0 ? "(nil)" : "1", "HGET " SESSION " tasks");
    ck_assert(!hold_renew(&mine));
}
END_TEST

START_TEST(a_settled_task_cannot_be_settled_otherwise)
{
    ck_assert(hold_finish(&mine, "doc"));
    ck_assert(!hold_fail(&mine, "x", "y"));
    ck_assert(!hold_postpone(&mine, 0, true, "x"));
    ck_assert(!hold_record(&mine, "doc2"));
    ck_assert_int_eq(task_now(id).status, TASK_FINISHED);
}
END_TEST

START_TEST(a_document_marked_to_be_swept_is_not_recorded)
{
    task_ask("ZADD c1:tasks:swept 1 doc1");
    ck_assert(!hold_record(&mine, "doc1"));
    ck_assert_str_eq(task_now(id).document, "");
    ck_assert(hold_record(&mine, "doc2"));
    ck_assert_str_eq(task_now(id).document, "doc2");
}
END_TEST

/* --- the reconciler --- */

START_TEST(nothing_is_added_while_nothing_is_lost)
{
    task_make("s");                                         /* in the stream, read by nobody */
    task_make("s");
    ck_assert_int_eq(task_take("one", &theirs), TASK_RESERVED);
    ck_assert(hold_postpone(&theirs, 60000, true, "x"));    /* in the due set */
    ck_assert_int_eq(queue_reconcile(), 0);
    task_expect("2", "XLEN c1:tasks:stream");
}
END_TEST

START_TEST(open_tasks_that_the_stream_has_lost_are_rung_again)
{
    task_make("s");
    task_ask("DEL c1:tasks:stream");
    ck_assert_int_eq(queue_reconcile(), 2);
    ck_assert_int_eq(queue_reconcile(), 0);
    task_ask("XGROUP CREATE c1:tasks:stream runners 0");
    ck_assert_int_eq(queue_reconcile(), 0);
    ck_assert(hold_renew(&mine));
    ck_assert(hold_finish(&mine, "doc"));
    task_expect("1", "XLEN c1:tasks:stream");
    ck_assert_int_eq(task_take("two", &theirs), TASK_RESERVED);
}
END_TEST

START_TEST(an_entry_that_became_anothers_is_no_entry)
{
    task_ask("HSET c1:task:b tn default se s st pending nt 0 t0 1 en %s", mine.entry);
    task_ask("ZADD c1:{default}:idx:open 2 b");
    ck_assert_int_eq(queue_reconcile(), 1);
    ck_assert(hold_renew(&mine));
    ck_assert_ptr_nonnull(strstr(task_ask("XPENDING c1:tasks:stream runners - + 9"), "one"));
    task_expect("2", "XLEN c1:tasks:stream");
}
END_TEST

START_TEST(an_entry_deleted_under_a_running_task_is_rung_again_and_the_task_done_once)
{
    task_ask("XDEL c1:tasks:stream %s", mine.entry);
    ck_assert_int_eq(queue_reconcile(), 1);
    ck_assert_int_eq(task_take("two", &theirs), TASK_HELD);
    ck_assert(hold_renew(&mine));
    ck_assert(hold_finish(&mine, "doc"));
    expect_out_of_the_stream();
}
END_TEST

START_TEST(an_entry_that_nobody_holds_any_more_is_rung_again)
{
    task_expect("1", "XGROUP DELCONSUMER c1:tasks:stream runners one");
    ck_assert_int_eq(queue_reconcile(), 1);
    ck_assert_int_eq(queue_reconcile(), 0);
    task_expect("1", "XLEN c1:tasks:stream");
    task_lease_passes(id);
    ck_assert_int_eq(task_take("two", &theirs), TASK_RESERVED);
}
END_TEST

START_TEST(a_pending_task_with_neither_entry_nor_place_in_the_due_set_is_rung_again)
{
    ck_assert(hold_postpone(&mine, 60000, true, "x"));
    task_ask("DEL c1:tasks:due");
    ck_assert_int_eq(queue_reconcile(), 1);
    ck_assert_int_eq(task_take("two", &theirs), TASK_RESERVED);
}
END_TEST

START_TEST(one_search_for_lost_tasks_serves_all_runners)
{
    ck_assert_int_eq(queue_reconcile(), 0);
    task_ask("HSET c1:task:lost tn default se s st pending nt 0 t0 1");
    task_ask("ZADD c1:{default}:idx:open 1 lost");
    ck_assert_int_eq(queue_reconcile_unless(60 * 1000), 0);
    task_ask("HINCRBY c1:tasks:control tidied 3600000");        /* the clock was set back */
    ck_assert_int_eq(queue_reconcile_unless(60 * 1000), 1);
}
END_TEST

START_TEST(the_index_of_open_tasks_forgets_what_is_not_open)
{
    task_ask("ZADD c1:{default}:idx:open 1 nosuchtask");
    ck_assert_int_eq(queue_reconcile(), 0);
    task_expect(id, "ZRANGE c1:{default}:idx:open 0 -1");
}
END_TEST

START_TEST(a_long_index_is_seen_whole_page_by_page)
{
    for (int i = 0; i < 500; i++) {
        task_ask("HSET c1:task:lost%d tn default se s st pending nt 0 t0 1", i);
        task_ask("ZADD c1:{default}:idx:open %d lost%d", i, i);
    }
    ck_assert_int_eq(queue_reconcile(), 500);
    task_expect("64", "XLEN c1:tasks:stream");      /* the others stand in line */
    task_expect("437", "ZCARD c1:tasks:waiting");
    ck_assert_int_eq(queue_reconcile(), 0);
}
END_TEST

START_TEST(consumers_are_forgotten_only_when_they_hold_nothing)
{
    task_ask("XGROUP CREATECONSUMER c1:tasks:stream runners idle");
    ck_assert_int_eq(queue_forget_consumers(60000), 0);
    ck_assert_int_eq(queue_forget_consumers(-1), 1);
    ck_assert_ptr_nonnull(strstr(task_ask("XINFO CONSUMERS c1:tasks:stream runners"), "one"));
    ck_assert(hold_finish(&mine, "doc"));
    ck_assert_int_eq(queue_forget_consumers(-1), 1);
    task_ask("DEL c1:tasks:stream");
    ck_assert_int_eq(queue_forget_consumers(-1), 0);
}
END_TEST

static TCase *tcase(Suite *s, const char *name, void (*setup)(void))
{
    TCase *t = tcase_create(name);

    tcase_add_unchecked_fixture(t, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(t, setup, task_teardown);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return t;
}

int main(void)
{
    Suite *s = suite_create("task_work");
    TCase *t = tcase(s, "reserved", setup_reserved);
    TCase *over = tcase(s, "taken over", setup_taken_over);

    tcase_add_test(t, a_reserved_task_is_running_under_a_lease_and_an_attempt_is_counted);
    tcase_add_test(t, a_reservation_repeated_after_a_lost_reply_counts_once);
    tcase_add_test(t, while_the_lease_lives_nobody_else_gets_the_task);
    tcase_add_test(over, a_task_whose_lease_has_passed_is_taken_over);
    tcase_add_test(over, a_stalled_runner_that_wakes_up_after_its_lease_can_change_nothing);
    tcase_add_test(t, a_lease_that_passed_is_renewed_as_long_as_nobody_took_the_task);
    tcase_add_test(t, a_renewal_ends_the_entrys_idleness_and_keeps_it_in_our_hands);
    tcase_add_test(t, an_entry_of_a_settled_or_missing_task_is_deleted);
    tcase_add_test(t, a_task_rung_twice_is_done_once);
    tcase_add_test(t, a_finished_task_leaves_stream_and_index_and_its_record_expires);
    tcase_add_test(t, a_finished_record_is_small);
    tcase_add_test(t, the_dialog_expires_again_once_the_last_of_its_tasks_is_finished);
    tcase_add_test(t, the_dialog_of_a_failed_task_stays_for_another_try);
    tcase_add_test(t, a_dialog_that_is_kept_for_ever_stays_so);
    tcase_add_test(t, a_session_that_took_the_name_of_a_deleted_one_is_left_alone);
    tcase_add_test(t, a_deleted_session_does_not_come_back_with_the_settlement);
    tcase_add_test(t, a_failed_task_tells_why_and_never_expires);
    tcase_add_test(t, an_errors_words_are_cut_to_what_a_record_holds);
    tcase_add_test(t, a_postponed_task_is_pending_and_waits_in_the_due_set);
    tcase_add_test(t, a_try_that_does_not_count_gives_its_attempt_back_but_lengthens_the_wait);
    tcase_add_test(t, a_task_handed_back_is_as_if_it_had_not_been_tried);
    tcase_add_test(t, a_due_task_goes_back_into_the_stream_and_can_be_reserved);
    tcase_add_test(t, many_due_tasks_are_woken_in_portions);
    tcase_add_loop_test(t, each_settlement_repeated_under_its_token_says_held_and_changes_nothing,
                        0, 3);
    tcase_add_test(t, a_settled_task_cannot_be_settled_otherwise);
    tcase_add_test(t, a_document_marked_to_be_swept_is_not_recorded);
    tcase_add_test(t, nothing_is_added_while_nothing_is_lost);
    tcase_add_test(t, open_tasks_that_the_stream_has_lost_are_rung_again);
    tcase_add_test(t, an_entry_that_became_anothers_is_no_entry);
    tcase_add_test(t, an_entry_deleted_under_a_running_task_is_rung_again_and_the_task_done_once);
    tcase_add_test(t, an_entry_that_nobody_holds_any_more_is_rung_again);
    tcase_add_test(t, a_pending_task_with_neither_entry_nor_place_in_the_due_set_is_rung_again);
    tcase_add_test(t, one_search_for_lost_tasks_serves_all_runners);
    tcase_add_test(t, the_index_of_open_tasks_forgets_what_is_not_open);
    tcase_add_test(t, a_long_index_is_seen_whole_page_by_page);
    tcase_add_test(t, consumers_are_forgotten_only_when_they_hold_nothing);
    return support_run(s);
}
