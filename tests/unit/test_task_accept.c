/* Many tasks that are to be accepted at the same time. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/unit/task_support.h"

enum { MANY = 200 };

static struct wish {
    char          id[KEYS_TASK_MAX + 1];
    enum err_code code;
} wishes[MANY];
static int answers;

static void on_accepted(void *arg, const char *id, const struct err *e)
{
    struct wish *w = arg;

    answers++;
    w->code = e ? e->code : ERR_OK;
    snprintf(w->id, sizeof w->id, "%s", id ? id : "");
}

static void wish_for(struct task_desk *desk, int i, const char *session, const char *key,
                     const char *body)
{
    struct task_request q = { .tenant = "default", .session = session,
                              .session_len = strlen(session), .idempotency_key = key,
                              .body_hash = body };

    ck_assert(task_accept(desk, &q, on_accepted, &wishes[i]));
}

static void until_answered(int count)
{
    support_until_count(task_loop, &answers, count);
}

static void setup(void)
{
    task_setup();
    memset(wishes, 0, sizeof wishes);
    answers = 0;
}

static int scripts_run(void)
{
    const char *calls = strstr(task_ask("INFO commandstats"), "cmdstat_evalsha:calls=");

    return calls ? atoi(strchr(calls, '=') + 1) : 0;
}

START_TEST(what_comes_while_a_script_is_under_way_goes_with_the_next)
{
    task_dialog("s", 1);
    task_make("s");             /* the server knows the script */
    task_ask("CONFIG RESETSTAT");
    for (int i = 0; i < MANY; i++)
        wish_for(task_desk, i, "s", NULL, NULL);
    ck_assert_int_eq(answers, 0);
    until_answered(MANY);
    ck_assert_int_le(scripts_run(), 5);     /* one, then 64 at once */
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(wishes[i].code, ERR_OK);
        ck_assert_str_eq(task_field(wishes[i].id, "st"), "pending");
    }
    task_expect("201", "ZCARD c1:{default}:idx:open");
    task_expect("201", "XLEN c1:{default}:idx:tasks");
    task_expect("201", "HGET c1:{default}:s:1:s tasks");
}
END_TEST

START_TEST(each_stands_in_the_stream_or_in_line_in_the_order_in_which_they_came)
{
    task_dialog("s", 1);
    for (int i = 0; i < MANY; i++)
        wish_for(task_desk, i, "s", NULL, NULL);
    until_answered(MANY);
    task_expect("64", "XLEN c1:tasks:stream");
    task_expect("136", "ZCARD c1:tasks:waiting");
    for (int i = 0; i < MANY; i++)
        task_expect(i < 64 ? "1" : "0", "HEXISTS c1:task:%s en", wishes[i].id);
    for (int i = 64; i < MANY; i++)
        ck_assert_int_eq(atoi(task_ask("ZRANK c1:tasks:waiting %s", wishes[i].id)), i - 64);
}
END_TEST

START_TEST(each_gets_its_own_answer)
{
    task_dialog("s", 1);
    wish_for(task_desk, 0, "s", NULL, NULL);
    wish_for(task_desk, 1, "s", "key", "aa");
    wish_for(task_desk, 2, "nobody", NULL, NULL);
    wish_for(task_desk, 3, "s", "key", "bb");
    wish_for(task_desk, 4, "s", "key", "aa");
    wish_for(task_desk, 5, "s", NULL, NULL);
    until_answered(6);
    ck_assert_int_eq(wishes[0].code, ERR_OK);
    ck_assert_int_eq(wishes[1].code, ERR_OK);
    ck_assert_int_eq(wishes[2].code, ERR_NO_SESSION);
    ck_assert_int_eq(wishes[3].code, ERR_KEY_REUSED);
    ck_assert_str_eq(wishes[4].id, wishes[1].id);
    ck_assert_int_eq(wishes[5].code, ERR_OK);
    task_expect("3", "ZCARD c1:{default}:idx:open");
}
END_TEST

/* Keys that somebody has put something else into. */
START_TEST(one_that_cannot_be_accepted_takes_no_other_with_it)
{
    queue_hold(true);           /* all stand in line */
    task_dialog("s", 1);
    task_ask("SET c1:{default}:s:3:bad x");
    task_dialog("odd", 0);
    task_ask("SET c1:{default}:s:3:odd:msgs x");
    wish_for(task_desk, 0, "s", NULL, NULL);
    wish_for(task_desk, 1, "s", "key", "aa");
    wish_for(task_desk, 2, "bad", "other", "aa");
    wish_for(task_desk, 3, "odd", NULL, NULL);
    wish_for(task_desk, 4, "s", NULL, NULL);
    until_answered(5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(wishes[i].code, i == 2 || i == 3 ? ERR_INTERNAL : ERR_OK);
    task_expect("3", "ZCARD c1:tasks:waiting");
    task_expect("3", "ZCARD c1:{default}:idx:open");
    task_expect("3", "XLEN c1:{default}:idx:tasks");
    ck_assert_int_eq(task_make_with("s", "key", "aa", wishes[0].id), ERR_OK);
    ck_assert_str_eq(wishes[0].id, wishes[1].id);
    ck_assert_int_eq(task_make_with("bad", "other", "aa", wishes[0].id), ERR_INTERNAL);
}
END_TEST

START_TEST(what_redis_refuses_of_all_is_no_fault_of_one)
{
    task_dialog("s", 1);
    task_ask("CONFIG SET maxmemory 1");
    wish_for(task_desk, 0, "s", NULL, NULL);
    wish_for(task_desk, 1, "s", NULL, NULL);
    until_answered(2);
    task_ask("CONFIG SET maxmemory 0");
    ck_assert_int_eq(wishes[0].code, ERR_STORE);
    ck_assert_int_eq(wishes[1].code, ERR_STORE);
    task_expect("0", "XLEN c1:{default}:idx:tasks");
}
END_TEST

START_TEST(who_waits_behind_a_call_without_an_answer_is_told_with_it)
{
    struct redis_options o = { .url = support_redis_url(task_server), .connect_timeout = 2000,
                               .timeout = 1200, .name = "test" };
    struct redis *impatient;
    struct task_desk *desk;
    int64_t before;

    ck_assert_int_eq(redis_new(task_loop, &o, &impatient, NULL), ERR_OK);
    desk = task_desk_new(impatient, &task_settings);
    task_dialog("s", 1);
    wish_for(desk, 0, "s", NULL, NULL);
    until_answered(1);
    support_redis_freeze(task_server);
    before = clock_ms();
    for (int i = 1; i < 4; i++)
        wish_for(desk, i, "s", NULL, NULL);
    until_answered(4);
    ck_assert_int_lt(clock_ms() - before, 1800);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(wishes[i].code, ERR_STORE);
    support_redis_thaw(task_server);
    task_desk_free(desk);
    redis_free(impatient);
}
END_TEST

START_TEST(without_the_desk_nobody_is_told)
{
    struct task_desk *desk = task_desk_new(task_redis, &task_settings);

    task_dialog("s", 1);
    wish_for(desk, 0, "s", NULL, NULL);
    wish_for(desk, 1, "s", NULL, NULL);
    task_desk_free(desk);
    task_desk_free(NULL);
    task_make("s");             /* its answer comes behind theirs */
    ck_assert_int_eq(answers, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("task_accept");
    TCase *redis = tcase_create("redis");

    tcase_add_unchecked_fixture(redis, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(redis, setup, task_teardown);
    tcase_set_timeout(redis, 60);
    tcase_add_test(redis, what_comes_while_a_script_is_under_way_goes_with_the_next);
    tcase_add_test(redis, each_stands_in_the_stream_or_in_line_in_the_order_in_which_they_came);
    tcase_add_test(redis, each_gets_its_own_answer);
    tcase_add_test(redis, one_that_cannot_be_accepted_takes_no_other_with_it);
    tcase_add_test(redis, what_redis_refuses_of_all_is_no_fault_of_one);
    tcase_add_test(redis, who_waits_behind_a_call_without_an_answer_is_told_with_it);
    tcase_add_test(redis, without_the_desk_nobody_is_told);
    suite_add_tcase(suite, redis);
    return support_run(suite);
}
