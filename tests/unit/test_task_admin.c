/* What people do with tasks: list, retry, cancel, delete. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/task_support.h"

#define SESSION "c1:{default}:s:1:s"

static struct hold mine;

static void setup(void)
{
    task_setup();
    task_dialog("s", 2);
}

static const char *failed(const char *session)
{
    const char *id = task_make(session);

    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert(hold_record(&mine, "doc1"));
    ck_assert(hold_fail(&mine, "document_refused", "no"));
    return id;
}

static const char *finished(const char *session)
{
    const char *id = task_make(session);

    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert(hold_finish(&mine, "doc1"));
    return id;
}

/* --- listed --- */

START_TEST(tasks_are_listed_newest_first_page_by_page)
{
    const char *ids[5], *all;
    struct task_page p;

    for (int i = 0; i < 5; i++)
        ids[i] = task_make("s");
    all = task_ask("ECHO %s,%s,%s,%s,%s,", ids[4], ids[3], ids[2], ids[1], ids[0]);
    ck_assert_str_eq(task_page(-1, NULL, 5, "").ids, all);
    ck_assert_str_eq(task_page(-1, NULL, 5, "").next, "");
    p = task_page(-1, NULL, 2, "");
    ck_assert_str_eq(p.ids, task_ask("ECHO %s,%s,", ids[4], ids[3]));
    task_make("s");                             /* moves nothing */
    p = task_page(-1, NULL, 2, p.next);
    ck_assert_str_eq(p.ids, task_ask("ECHO %s,%s,", ids[2], ids[1]));
    p = task_page(-1, NULL, 2, p.next);
    ck_assert_str_eq(p.ids, task_ask("ECHO %s,", ids[0]));
    ck_assert_str_eq(p.next, "");
}
END_TEST

START_TEST(each_status_has_its_list)
{
    const char *fail = failed("s"), *done = finished("s"), *runs = task_make("s"), *waits;

    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    waits = task_make("s");
    ck_assert_str_eq(task_page(TASK_FAILED, NULL, 9, "").ids, task_ask("ECHO %s,", fail));
    ck_assert_str_eq(task_page(TASK_FINISHED, NULL, 9, "").ids, task_ask("ECHO %s,", done));
    ck_assert_str_eq(task_page(TASK_RUNNING, NULL, 9, "").ids, task_ask("ECHO %s,", runs));
    ck_assert_str_eq(task_page(TASK_PENDING, NULL, 9, "").ids, task_ask("ECHO %s,", waits));
    ck_assert_str_eq(task_page(TASK_PENDING, "s", 9, "").ids, task_ask("ECHO %s,", waits));
    ck_assert_uint_eq(task_page(-1, "s", 9, "").count, 4);
}
END_TEST

START_TEST(a_list_by_status_can_be_gone_on_with_when_its_cursor_has_left_it)
{
    const char *ids[4];
    struct task_page p;

    for (int i = 0; i < 4; i++)
        ids[i] = failed("s");
    p = task_page(TASK_FAILED, NULL, 2, "");
    ck_assert_str_eq(p.ids, task_ask("ECHO %s,%s,", ids[3], ids[2]));
    ck_assert_int_eq(task_do_retry(ids[2]), ERR_OK);
    ck_assert_str_eq(task_page(TASK_FAILED, NULL, 2, p.next).ids,
                     task_ask("ECHO %s,%s,", ids[1], ids[0]));
}
END_TEST

/* As those have that were accepted in one script. */
START_TEST(none_is_listed_twice_though_many_have_the_same_time)
{
    struct task_page p;

    for (const char *id = "abcd"; *id; id++)
        task_put((char[]){ *id, 0 }, "s");      /* all at 1 */
    p = task_page(TASK_PENDING, NULL, 2, "");
    ck_assert_str_eq(p.ids, "d,c,");
    task_ask("ZREM c1:{default}:idx:open c");   /* as it has been finished */
    p = task_page(TASK_PENDING, NULL, 2, p.next);
    ck_assert_str_eq(p.ids, "b,a,");
    task_expect("3", "ZCARD c1:{default}:idx:open");
}
END_TEST

START_TEST(a_session_lists_its_own_tasks)
{
    const char *first, *second;
    struct task_page p;

    task_dialog("t", 1);
    task_make("t");
    first = task_make("s");
    task_make("t");
    support_turn(task_loop, 2);         /* another millisecond */
    second = task_make("s");
    p = task_page(-1, "s", 1, "");
    ck_assert_str_eq(p.ids, task_ask("ECHO %s,", second));
    p = task_page(-1, "s", 1, p.next);
    ck_assert_str_eq(p.ids, task_ask("ECHO %s,", first));
    ck_assert_str_eq(p.next, "");
    ck_assert_int_eq(task_page(-1, "nobody", 9, "").code, ERR_NO_SESSION);
}
END_TEST

/* Redis answers nobody else meanwhile. */
START_TEST(a_sessions_many_tasks_are_read_once_for_a_page)
{
    struct task_page p;

    for (int i = 0; i < 300; i++)
        task_ask("HSET " SESSION " t:gone%d -%d", i, 1000 + i);
    task_ask("CONFIG RESETSTAT");
    p = task_page(TASK_FAILED, "s", 1, "");
    ck_assert_uint_eq(p.count, 0);
    ck_assert_str_eq(p.next, "");
    ck_assert_ptr_nonnull(strstr(task_ask("INFO commandstats"), "cmdstat_hgetall:calls=1,"));
}
END_TEST

START_TEST(another_tenants_tasks_are_neither_listed_nor_in_the_way)
{
    static const char many[] =
        "for i = 1, 2500 do "
        "    redis.call('HSET', 'c1:task:o' .. i, 'tn', 'other', 'se', 's', 'st', 'pending') "
        "    redis.call('ZADD', 'c1:{other}:idx:open', 99999999999999, 'o' .. i) "
        "    redis.call('XADD', 'c1:{other}:idx:tasks', '*', 't', 'o' .. i) "
        "end";
    const char *id = task_make("s");

    free(support_redis_ask(task_server, "EVAL %s 0", many));
    task_expect("2500", "ZCARD c1:{other}:idx:open");
    ck_assert_str_eq(task_page(-1, NULL, 2, "").ids, task_ask("ECHO %s,", id));
    ck_assert_str_eq(task_page(TASK_PENDING, NULL, 2, "").ids, task_ask("ECHO %s,", id));
}
END_TEST

START_TEST(a_page_looks_at_a_bounded_number_of_tasks)
{
    struct task_page p;

    for (int i = 0; i < 2500; i++)
        task_ask("XADD c1:{default}:idx:tasks * t gone%d", i);
    task_make("s");
    task_ask("HSET c1:task:gone7 tn default se s st finished nt 0 t0 9");
    p = task_page(TASK_FINISHED, NULL, 10, "");
    ck_assert_uint_eq(p.count, 0);
    ck_assert_str_ne(p.next, "");
    ck_assert_str_eq(task_page(TASK_FINISHED, NULL, 10, p.next).ids, "gone7,");
    task_expect("2", "XLEN c1:{default}:idx:tasks");    /* what has expired was taken out */
}
END_TEST

static bool is_cursor(int status, const char *session, const char *cursor)
{
    return task_cursor_ok(&(struct task_query){ .status = status, .session = session,
                                                .cursor = cursor });
}

START_TEST(only_what_was_given_out_is_a_cursor)
{
    static const char *const of_all[] = { "1772357400000-0", "1-12" };
    static const char *const of_others[] = { "1772357400000:abc_-9", "001772357400000:a" };
    static const char *const bad[] = { "", "-", "1", "1-", "-1", "1-1x", "1:", "1:a b", "x:1", "+",
                                       "1234567890123456789-1", "(1-1", "1:a:b",
                                       "1-1234567890123456789" };

    for (size_t i = 0; i < sizeof of_all / sizeof *of_all; i++) {
        ck_assert_msg(is_cursor(-1, NULL, of_all[i]), "%s", of_all[i]);
        ck_assert_msg(is_cursor(TASK_FINISHED, NULL, of_all[i]), "%s", of_all[i]);
        ck_assert_msg(!is_cursor(-1, "s", of_all[i]), "%s", of_all[i]);
        ck_assert_msg(!is_cursor(TASK_FAILED, NULL, of_all[i]), "%s", of_all[i]);
    }
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++) {
        ck_assert_msg(is_cursor(TASK_FAILED, NULL, of_others[i]), "%s", of_others[i]);
        ck_assert_msg(is_cursor(TASK_FINISHED, "s", of_others[i]), "%s", of_others[i]);
        ck_assert_msg(!is_cursor(-1, NULL, of_others[i]), "%s", of_others[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!is_cursor(-1, NULL, bad[i]), "%s", bad[i]);
        ck_assert_msg(!is_cursor(TASK_PENDING, NULL, bad[i]), "%s", bad[i]);
    }
}
END_TEST

/* --- retried --- */

START_TEST(a_failed_task_that_is_retried_begins_anew_with_its_document)
{
    const char *id = failed("s");
    struct task t;

    ck_assert_int_eq(task_do_retry(id), ERR_OK);
    t = task_now(id);
    ck_assert_int_eq(t.status, TASK_PENDING);
    ck_assert_int_eq(t.attempts, 0);
    ck_assert_str_eq(t.error_code, "");
    ck_assert_str_eq(t.document, "doc1");
    ck_assert_int_eq(t.finished_at, 0);
    ck_assert_uint_eq(task_page(TASK_FAILED, NULL, 9, "").count, 0);
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert(hold_finish(&mine, "doc1"));
    task_expect("0", "HEXISTS " SESSION " tasks");
}
END_TEST

START_TEST(only_a_failed_task_is_retried)
{
    const char *done = finished("s"), *id = task_make("s");

    ck_assert_int_eq(task_do_retry(done), ERR_TASK_STATE);
    ck_assert_int_eq(task_do_retry(id), ERR_TASK_STATE);
    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(task_do_retry(id), ERR_TASK_STATE);
    ck_assert_int_eq(task_do_retry("nosuchtask"), ERR_NO_TASK);
    ck_assert_int_eq(task_do_retry("no id"), ERR_NO_TASK);
    task_ask("HSET c1:task:o tn other se s st failed t0 1");
    ck_assert_int_eq(task_do_retry("o"), ERR_NO_TASK);
}
END_TEST

START_TEST(without_its_dialog_a_task_is_not_retried)
{
    const char *id = failed("s");

    task_ask("LTRIM " SESSION ":msgs 1 1");
    ck_assert_int_eq(task_do_retry(id), ERR_SESSION_GONE);
    task_ask("DEL " SESSION);
    ck_assert_int_eq(task_do_retry(id), ERR_SESSION_GONE);
    task_ask("HSET " SESSION " created 9999999999999");
    ck_assert_int_eq(task_do_retry(id), ERR_SESSION_GONE);
    ck_assert_int_eq(task_now(id).status, TASK_FAILED);
}
END_TEST

/* --- taken away --- */

START_TEST(a_task_that_waits_is_cancelled_wherever_it_waits)
{
    const char *id;
    struct task t;

    if (_i == 2)
        queue_hold(true);                       /* in line */
    id = task_make("s");
    if (_i == 1) {                              /* due later */
        ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
        ck_assert(hold_postpone(&mine, 60000, true, "x"));
    }
    ck_assert_int_eq(task_do_remove(id, TASK_DELETE), ERR_TASK_STATE);
    ck_assert_int_eq(task_do_remove(id, TASK_CANCEL_OR_DELETE), ERR_OK);
    t = task_now(id);
    ck_assert_int_eq(t.status, TASK_FAILED);
    ck_assert_str_eq(t.error_code, "cancelled");
    task_expect("0", "EXISTS c1:{default}:idx:open c1:tasks:due c1:tasks:waiting");
    task_expect("0", "XLEN c1:tasks:stream");
    ck_assert_int_gt(atoll(task_ask("PTTL c1:task:%s", id)), 0);
    ck_assert_int_gt(atoll(task_ask("PTTL " SESSION)), 0);
    ck_assert_int_eq(task_do_retry(id), ERR_OK);
    task_expect("-1", "PTTL " SESSION);
    task_expect("-1", "PTTL c1:task:%s", id);
}
END_TEST

START_TEST(a_running_task_is_left_alone)
{
    const char *id = task_make("s");

    ck_assert_int_eq(task_take("one", &mine), TASK_RESERVED);
    ck_assert_int_eq(task_do_remove(id, TASK_CANCEL_OR_DELETE), ERR_TASK_STATE);
    ck_assert(hold_finish(&mine, "doc"));
}
END_TEST

START_TEST(of_a_task_that_has_ended_nothing_stays)
{
    const char *id = _i == 0 ? failed("s") : _i == 1 ? finished("s") : task_make("s");

    if (_i == 2)
        ck_assert_int_eq(task_do_remove(id, TASK_CANCEL), ERR_OK);
    ck_assert_int_eq(task_do_remove(id, TASK_CANCEL), ERR_TASK_STATE);
    ck_assert_int_eq(task_do_remove(id, TASK_DELETE), ERR_OK);
    ck_assert_int_eq(task_do_remove(id, TASK_DELETE), ERR_NO_TASK);
    task_expect("0", "XLEN c1:{default}:idx:tasks");
    task_expect("0", "EXISTS c1:task:%s c1:{default}:idx:failed c1:{default}:idx:open", id);
    task_expect("0", "HEXISTS " SESSION " tasks");
    task_expect("0", "HEXISTS " SESSION " t:%s", id);
    ck_assert_int_gt(atoll(task_ask("PTTL " SESSION)), 0);
}
END_TEST

START_TEST(another_tenants_task_is_not_there)
{
    task_ask("HSET c1:task:o tn other se s st failed t0 1");
    ck_assert_int_eq(task_do_remove("o", TASK_CANCEL_OR_DELETE), ERR_NO_TASK);
    ck_assert_int_eq(task_do_remove("no id", TASK_CANCEL_OR_DELETE), ERR_NO_TASK);
    task_expect("1", "EXISTS c1:task:o");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("task_admin");
    TCase *t = tcase_create("admin");

    tcase_add_unchecked_fixture(t, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(t, setup, task_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, tasks_are_listed_newest_first_page_by_page);
    tcase_add_test(t, each_status_has_its_list);
    tcase_add_test(t, a_list_by_status_can_be_gone_on_with_when_its_cursor_has_left_it);
    tcase_add_test(t, none_is_listed_twice_though_many_have_the_same_time);
    tcase_add_test(t, a_session_lists_its_own_tasks);
    tcase_add_test(t, a_sessions_many_tasks_are_read_once_for_a_page);
    tcase_add_test(t, another_tenants_tasks_are_neither_listed_nor_in_the_way);
    tcase_add_test(t, a_page_looks_at_a_bounded_number_of_tasks);
    tcase_add_test(t, only_what_was_given_out_is_a_cursor);
    tcase_add_test(t, a_failed_task_that_is_retried_begins_anew_with_its_document);
    tcase_add_test(t, only_a_failed_task_is_retried);
    tcase_add_test(t, without_its_dialog_a_task_is_not_retried);
    tcase_add_loop_test(t, a_task_that_waits_is_cancelled_wherever_it_waits, 0, 3);
    tcase_add_test(t, a_running_task_is_left_alone);
    tcase_add_loop_test(t, of_a_task_that_has_ended_nothing_stays, 0, 3);
    tcase_add_test(t, another_tenants_task_is_not_there);
    suite_add_tcase(s, t);
    return support_run(s);
}
