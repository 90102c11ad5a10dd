/* Turns while Redis is stuck, gone, and back again. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/lua_scripts.h"
#include "tests/unit/session_support.h"

#define HASH "c1:{default}:s:1:s"

enum { CALL_MS = 1000 };        /* session_support's timeout of a call */

static struct child *a, *b;

static void setup(void)
{
    session_setup();
    a = child_new();
    b = child_new();
}

static struct user *holder_of_session(struct child *c, const char *session)
{
    struct user *u = user_begin(c, session);

    user_until_begun_now(u);
    return u;
}

static struct user *holder_of(struct child *c)
{
    return holder_of_session(c, "s");
}

static bool is_away(void *arg)
{
    return !redis_is_up(((struct child *)arg)->redis);
}

static bool is_back(void *arg)
{
    return redis_is_up(((struct child *)arg)->redis);
}

START_TEST(a_save_goes_over_a_restart_of_redis_and_is_one_entry)
{
    struct user *u = holder_of(a);

    support_redis_kill(redis_server);
    if (_i)     /* seen, or not yet */
        support_until_true(loop, is_away, a);
    user_save(u, "q", "a");
    support_turn(loop, 200);
    ck_assert(!u->saved && !u->failed);
    support_redis_launch(redis_server);
    user_until_saved(u);
    ck_assert(u->saved);
    expect("1", "LLEN " HASH ":msgs");
    support_until_true(loop, is_back, b);
    ck_assert_int_eq(holder_of(b)->number, 2);
}
END_TEST

/* The frozen Redis carries the first save out when it goes on; its answer goes nowhere. */
START_TEST(a_save_whose_answer_was_lost_is_one_entry)
{
    struct user *u = holder_of(a);

    support_redis_freeze(redis_server);
    user_save(u, "q", "a");
    support_until_true(loop, is_away, a);
    support_redis_thaw(redis_server);
    user_until_saved(u);
    ck_assert(u->saved);
    expect("1", "LLEN " HASH ":msgs");
    expect("1", "HGET " HASH " turns");
}
END_TEST

static void on_script(void *arg, const struct redisReply *reply, const struct err *e)
{
    char **said = arg;

    ck_assert_ptr_null(e);
    *said = strdup(redis_reply_text(redis_reply_at(reply, 0)).s);
}

static bool is_said(void *arg)
{
    return *(char **)arg != NULL;
}

/* Between a lost answer and the repeat others may have had their turns. */
START_TEST(a_repeated_save_finds_its_entry_behind_later_ones)
{
    struct redis_arg keys[] = {
        REDIS_LIT(HASH), REDIS_LIT(HASH ":msgs"), REDIS_LIT(HASH ":lock"),
        REDIS_LIT(HASH ":wait"), REDIS_LIT("c1:{default}:idx:sessions"), REDIS_LIT(""),
    };
    struct user *u = holder_of(a);
    char *fence = support_redis_ask(redis_server, "HGET " HASH ":lock fence"), *said = NULL;

    user_save(u, "q", "a");
    user_until_saved(u);
    take_turn(b, "s", "q2", "a2");
    u = holder_of(b);
    redis_eval(a->redis, 0, &lua_turn_save, keys, 6,
               (struct redis_arg[]){ redis_str(fence), REDIS_LIT("1"), REDIS_LIT("again"),
                                     REDIS_LIT("s"), REDIS_LIT("0"), REDIS_LIT(""),
                                     REDIS_LIT("0"), REDIS_LIT("") }, 8,
               on_script, &said);
    support_until_true(loop, is_said, &said);
    ck_assert_str_eq(said, "saved");
    expect("2", "LLEN " HASH ":msgs");
    user_save(u, "q3", "a3");
    user_until_saved(u);
    ck_assert(u->saved);
    free(said);
    free(fence);
}
END_TEST

/* A failover has lost the turn before it. Its lock is forgotten, or taken again meanwhile. */
START_TEST(a_save_whose_answer_was_lost_is_one_entry_in_a_dialog_that_was_cut)
{
    struct user *u;

    take_turn(a, "s", "lost", "lost");
    u = holder_of(a);
    free(support_redis_ask(redis_server, "DEL " HASH " " HASH ":msgs"));
    if (_i)
        free(support_redis_ask(redis_server, "DEL " HASH ":lock"));
    support_redis_freeze(redis_server);
    user_save(u, "q", "a");
    support_until_true(loop, is_away, a);
    support_redis_thaw(redis_server);
    user_until_saved(u);
    ck_assert_int_eq(u->failed, ERR_OK);
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(a_save_that_finds_no_redis_in_time_is_not_saved_and_holds_nobody_up)
{
    struct user *u = holder_of(a);
    int64_t began = clock_ms();

    settings.session.save_timeout = 500;
    support_redis_kill(redis_server);
    user_save(u, "q", "a");
    user_until_saved(u);
    ck_assert_int_eq(u->failed, ERR_NOT_SAVED);
    ck_assert_int_lt(clock_ms() - began, 500 + CALL_MS + 2000);
    support_redis_again(redis_server);
    support_until_true(loop, is_back, b);
    u = holder_of(b);
    ck_assert_int_eq(u->number, 1);
}
END_TEST

START_TEST(without_redis_no_turn_begins_and_the_caller_hears_it_in_time)
{
    struct user *u;
    int64_t began = clock_ms();

    support_redis_kill(redis_server);
    support_until_true(loop, is_away, a);
    u = user_begin(a, "s");
    user_until_answered(u);
    ck_assert_int_eq(u->failed, ERR_STORE);
    ck_assert_int_lt(clock_ms() - began, CALL_MS + 2000);
    support_redis_again(redis_server);
}
END_TEST

/* It was granted, but nobody has heard of it. */
START_TEST(a_grant_whose_answer_was_lost_is_given_back)
{
    struct user *u;

    free(support_redis_ask(redis_server, "SCRIPT FLUSH"));
    take_turn(a, "other", "q", "a");    /* the scripts are known again */
    support_redis_freeze(redis_server);
    u = user_begin(a, "s");
    user_until_answered(u);
    ck_assert_int_eq(u->failed, ERR_STORE);
    support_redis_thaw(redis_server);
    support_until_true(loop, is_back, b);
    holder_of(b);
}
END_TEST

/* The first one's silence ends the connection for both; the second has time yet. Redis carries out
 * what it was asked over the old connection as well. */
START_TEST(who_has_just_asked_is_not_failed_with_who_has_waited_too_long)
{
    struct user *early, *late;

    support_redis_freeze(redis_server);
    early = user_begin(a, "other");
    support_turn(loop, CALL_MS * 3 / 4);
    late = user_begin(a, "s");
    user_until_answered(early);
    ck_assert_int_eq(early->failed, ERR_STORE);
    ck_assert(!late->answered);
    support_redis_thaw(redis_server);
    user_until_begun_now(late);
    user_save(late, "q", "a");
    user_until_saved(late);
    ck_assert(late->saved);
    expect("1", "LLEN " HASH ":msgs");
    holder_of(b);
}
END_TEST

START_TEST(who_asks_again_in_vain_hears_it_in_the_time_of_one_question)
{
    struct user *early, *late;
    int64_t began;

    support_redis_freeze(redis_server);
    early = user_begin(a, "other");
    support_turn(loop, CALL_MS / 2);
    began = clock_ms();
    late = user_begin(a, "s");
    user_until_answered(early);
    user_until_answered(late);
    ck_assert_int_eq(late->failed, ERR_STORE);
    ck_assert_int_ge(clock_ms() - began, CALL_MS - 10);
    ck_assert_int_lt(clock_ms() - began, CALL_MS + 500);
    support_redis_thaw(redis_server);
}
END_TEST

START_TEST(a_drop_while_redis_is_away_is_made_good_when_it_is_back)
{
    struct user *first = holder_of(a);

    support_redis_kill(redis_server);
    support_until_true(loop, is_away, a);
    user_drop(first);
    support_turn(loop, 300);
    support_redis_again(redis_server);
    support_until_true(loop, is_back, b);
    holder_of(b);
}
END_TEST

START_TEST(a_waiter_hears_when_redis_goes_away)
{
    struct user *second;

    settings.session.lease = 2000;
    holder_of(a);
    second = user_begin(b, "s");
    until_queue_has("s", 1);
    support_redis_kill(redis_server);
    user_until_answered(second);
    ck_assert_int_eq(second->failed, ERR_STORE);
    support_redis_again(redis_server);
}
END_TEST

/* Published while nobody listened: the lock is free, and the queue does not know. */
START_TEST(a_wake_up_lost_with_the_subscription_is_made_good_by_the_next_one)
{
    struct user *first = holder_of(a), *second = user_begin(b, "s");

    until_queue_has("s", 1);
    free(support_redis_ask(redis_server, "HSET " HASH ":lock until 0"));
    free(support_redis_ask(redis_server, "CLIENT KILL TYPE pubsub"));
    user_until_begun_now(second);
    user_drop(first);
}
END_TEST

START_TEST(a_turn_that_runs_through_an_outage_keeps_its_lock)
{
    struct user *first, *second;

    settings.session.lease = 1500;
    first = holder_of(a);
    support_redis_kill(redis_server);
    support_turn(loop, 700);
    support_redis_again(redis_server);
    support_until_true(loop, is_back, a);
    support_turn(loop, 2000);
    support_until_true(loop, is_back, b);
    second = user_begin(b, "s");
    until_queue_has("s", 1);
    user_save(first, "q", "a");
    user_until_begun_now(second);
    ck_assert(first->saved);
    ck_assert_int_eq(second->number, 2);
}
END_TEST

/* Its lock is forgotten: who comes when Redis is back must not find the session free. */
START_TEST(a_save_that_waits_for_redis_comes_before_who_asks_then)
{
    struct user *first = holder_of(a), *second;

    support_redis_kill(redis_server);
    user_save(first, "q", "a");
    support_turn(loop, 1600);           /* 100, 200, 400, 800 ms: the next try is far */
    support_redis_again(redis_server);
    support_until_true(loop, is_back, a);
    support_turn(loop, 20);
    support_until_true(loop, is_back, b);
    second = holder_of(b);
    user_until_saved(first);
    ck_assert(first->saved);
    ck_assert_int_eq(second->number, 2);
}
END_TEST

/* What stands of a lock in the append-only file, found by a Redis that has nothing else. */
START_TEST(only_a_lock_that_somebody_waits_for_outlives_redis)
{
    holder_of(a);
    if (_i) {
        user_begin(b, "s");
        until_queue_has("s", 1);
    }
    user_drop(holder_of_session(a, "other"));
    support_redis_kill(redis_server);
    support_redis_again(redis_server);
    expect(_i ? "2" : "0", "EXISTS " HASH ":lock " HASH ":wait");
    expect("0", "EXISTS c1:{default}:s:5:other:lock");
}
END_TEST

/* Asked under its hash, which Redis did not know any more, and then given up: it is not asked again
 * behind the save, where it would lock the session for nobody. */
START_TEST(a_renewal_that_a_save_overtakes_takes_no_lock)
{
    struct user *u;

    settings.session.lease = CALL_MS;
    u = holder_of(a);
    free(support_redis_ask(redis_server, "SCRIPT FLUSH"));
    free(support_redis_ask(redis_server, "DEL " HASH ":lock"));
    take_turn(b, "other", "q", "a");    /* all scripts but that of the renewal are known again */
    support_redis_freeze(redis_server);
    support_turn(loop, CALL_MS / 2);
    user_save(u, "q", "a");
    support_redis_thaw(redis_server);
    user_until_saved(u);
    ck_assert(u->saved);
    holder_of_session(a, "other");
    expect("0", "EXISTS " HASH ":lock");
}
END_TEST

/* A key of another type: the script fails, which no repeat would mend. */
START_TEST(a_save_that_redis_refuses_is_not_tried_again)
{
    struct user *u = holder_of(a);
    int64_t began = clock_ms();

    free(support_redis_ask(redis_server, "SET " HASH ":msgs x"));
    user_save(u, "q", "a");
    user_until_saved(u);
    ck_assert_int_eq(u->failed, ERR_NOT_SAVED);
    ck_assert_int_lt(clock_ms() - began, settings.session.save_timeout / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session_outage");
    TCase *outage = tcase_create("outage");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, outage);
    tcase_add_checked_fixture(outage, session_case_setup, session_case_teardown);
    tcase_add_checked_fixture(outage, setup, session_teardown);
    tcase_set_timeout(outage, 60);
    tcase_add_loop_test(outage, a_save_goes_over_a_restart_of_redis_and_is_one_entry, 0, 2);
    tcase_add_test(outage, a_save_whose_answer_was_lost_is_one_entry);
    tcase_add_test(outage, a_repeated_save_finds_its_entry_behind_later_ones);
    tcase_add_loop_test(outage, a_save_whose_answer_was_lost_is_one_entry_in_a_dialog_that_was_cut,
                        0, 2);
    tcase_add_test(outage, a_save_that_finds_no_redis_in_time_is_not_saved_and_holds_nobody_up);
    tcase_add_test(outage, without_redis_no_turn_begins_and_the_caller_hears_it_in_time);
    tcase_add_test(outage, a_grant_whose_answer_was_lost_is_given_back);
    tcase_add_test(outage, who_has_just_asked_is_not_failed_with_who_has_waited_too_long);
    tcase_add_test(outage, who_asks_again_in_vain_hears_it_in_the_time_of_one_question);
    tcase_add_test(outage, a_drop_while_redis_is_away_is_made_good_when_it_is_back);
    tcase_add_test(outage, a_waiter_hears_when_redis_goes_away);
    tcase_add_test(outage, a_wake_up_lost_with_the_subscription_is_made_good_by_the_next_one);
    tcase_add_test(outage, a_turn_that_runs_through_an_outage_keeps_its_lock);
    tcase_add_test(outage, a_save_that_waits_for_redis_comes_before_who_asks_then);
    tcase_add_loop_test(outage, only_a_lock_that_somebody_waits_for_outlives_redis, 0, 2);
    tcase_add_test(outage, a_renewal_that_a_save_overtakes_takes_no_lock);
    tcase_add_test(outage, a_save_that_redis_refuses_is_not_tried_again);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
