/* Requests with an Idempotency-Key: answered once, however often they come. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/session_support.h"

#define HASH "c1:{default}:s:1:s"

static struct child *a, *b;

static void setup(void)
{
    session_setup();
    a = child_new();
    b = child_new();
}

static struct user *answered(struct child *c)
{
    struct user *u = user_repeat(c, "s", "key", "body");

    user_until_begun_now(u);
    user_save(u, "q", "the answer");
    user_until_saved(u);
    ck_assert(u->saved);
    return u;
}

static void is_replay(struct user *u)
{
    user_until_answered(u);
    ck_assert_int_eq(u->failed, ERR_OK);
    ck_assert(u->replayed && !u->begun);
    ck_assert_ptr_nonnull(strstr(u->replay, "the answer"));
    user_drop(u);
}

START_TEST(a_later_repeat_gets_the_first_answer_and_locks_nothing)
{
    struct user *u;

    answered(a);
    free(support_redis_ask(redis_server, "RPUSH " HASH ":msgs later"));
    for (int i = 0; i < 3; i++) {
        u = user_repeat(i % 2 ? a : b, "s", "key", "body");
        is_replay(u);
        ck_assert_int_eq(u->number, 1);
    }
    expect("0", "HGET " HASH ":lock until");
    expect("2", "LLEN " HASH ":msgs");
    u = user_begin(b, "s");
    user_until_begun_now(u);
}
END_TEST

START_TEST(a_repeat_finds_its_answer_also_while_another_turn_runs)
{
    struct user *u;

    answered(a);
    u = user_begin(a, "s");
    user_until_begun_now(u);
    is_replay(user_repeat(b, "s", "key", "body"));
    user_save(u, "q", "a");
    user_until_saved(u);
    ck_assert(u->saved);
}
END_TEST

/* Also where a second message would be rejected: this is the same one. */
START_TEST(a_repeat_in_flight_waits_for_the_first_and_gets_its_answer)
{
    struct user *first, *second;

    settings.session.busy = _i ? SESSION_BUSY_REJECT : SESSION_BUSY_WAIT;
    first = user_repeat(a, "s", "key", "body");
    user_until_begun_now(first);
    second = user_repeat(b, "s", "key", "body");
    until_queue_has("s", 1);
    ck_assert(!second->answered);
    user_save(first, "q", "the answer");
    is_replay(second);
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

static bool one_has_begun(void *arg)
{
    struct user **u = arg;

    return u[0]->begun || u[1]->begun;
}

START_TEST(two_at_the_same_moment_are_answered_once)
{
    struct user *u[2] = { user_repeat(a, "s", "key", "body"), user_repeat(b, "s", "key", "body") };
    int first;

    until_queue_has("s", 1);
    support_until_true(loop, one_has_begun, u);
    first = u[0]->begun ? 0 : 1;
    ck_assert(u[first]->begun && !u[!first]->answered);
    user_save(u[first], "q", "the answer");
    is_replay(u[!first]);
}
END_TEST

START_TEST(a_repeat_that_waited_lets_the_next_one_in)
{
    struct user *first, *second, *third;

    first = user_repeat(a, "s", "key", "body");
    user_until_begun_now(first);
    second = user_repeat(b, "s", "key", "body");
    until_queue_has("s", 1);
    third = user_begin(a, "s");
    until_queue_has("s", 2);
    user_save(first, "q", "the answer");
    is_replay(second);
    user_until_begun_now(third);
    ck_assert_int_eq(third->number, 2);
}
END_TEST

START_TEST(another_request_under_the_same_key_is_refused)
{
    static const struct { const char *session, *body; } others[] = {
        { "s", "other" }, { "t", "body" },
    };
    struct user *first = user_repeat(a, "s", "key", "body"), *other;

    user_until_begun_now(first);
    other = user_repeat(b, others[_i].session, "key", others[_i].body);
    user_until_answered(other);
    ck_assert_int_eq(other->failed, ERR_KEY_REUSED);
    user_save(first, "q", "the answer");
    user_until_saved(first);
    other = user_repeat(b, others[_i].session, "key", others[_i].body);
    user_until_answered(other);
    ck_assert_int_eq(other->failed, ERR_KEY_REUSED);
    is_replay(user_repeat(b, "s", "key", "body"));
}
END_TEST

START_TEST(the_same_key_of_another_tenant_is_another)
{
    struct session_request q = { .tenant = "acme", .id = "s", .id_len = 1,
                                 .idempotency_key = "key", .body_hash = "x" };
    struct user *u;

    answered(a);
    u = user_begin_with(a, &q);
    user_until_begun_now(u);
}
END_TEST

START_TEST(a_failed_turn_is_not_kept_and_its_repeat_asks_again)
{
    struct user *first = user_repeat(a, "s", "key", "body"), *second;

    user_until_begun_now(first);
    second = user_repeat(b, "s", "key", "body");
    until_queue_has("s", 1);
    user_drop(first);
    user_until_begun_now(second);
    user_save(second, "q", "the answer");
    is_replay(user_repeat(b, "s", "key", "body"));
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(the_key_of_a_failed_turn_is_free_for_another_request)
{
    struct user *first = user_repeat(a, "s", "key", "body"), *second;

    user_until_begun_now(first);
    user_drop(first);
    second = user_repeat(a, "t", "key", "another body");
    user_until_begun_now(second);
}
END_TEST

static bool no_record_is_left(void *arg)
{
    char *keys = support_redis_ask(redis_server, "KEYS c1:{default}:idem:*");
    bool none = *keys == '\0';

    (void)arg;
    free(keys);
    return none;
}

START_TEST(the_key_of_a_dead_turn_is_free_after_its_lease)
{
    struct user *second;

    settings.session.lease = 600;
    user_until_begun_now(user_repeat(a, "s", "key", "body"));
    child_kill(a);
    support_until_true(loop, no_record_is_left, NULL);
    second = user_repeat(b, "t", "key", "another body");
    user_until_begun_now(second);
}
END_TEST

START_TEST(when_the_first_died_one_repeat_asks_again_and_the_others_get_its_answer)
{
    struct user *second, *third;

    settings.session.lease = 600;
    settings.session.busy = _i ? SESSION_BUSY_REJECT : SESSION_BUSY_WAIT;
    user_until_begun_now(user_repeat(a, "s", "key", "body"));
    second = user_repeat(b, "s", "key", "body");
    until_queue_has("s", 1);
    third = user_repeat(b, "s", "key", "body");
    until_queue_has("s", 2);
    child_kill(a);
    user_until_begun_now(second);
    ck_assert(!third->answered);
    user_save(second, "q", "the answer");
    is_replay(third);
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(a_long_turn_stays_known_to_its_repeats)
{
    struct user *first, *second;

    settings.session.lease = 900;
    settings.session.busy = SESSION_BUSY_REJECT;
    first = user_repeat(a, "s", "key", "body");
    user_until_begun_now(first);
    support_turn(loop, 2000);
    second = user_repeat(b, "s", "key", "body");
    until_queue_has("s", 1);
    user_save(first, "q", "the answer");
    is_replay(second);
}
END_TEST

/* It stalled, its record ran out, and another request took the key meanwhile. */
START_TEST(a_stalled_turn_leaves_the_record_of_a_later_request_alone)
{
    struct user *first = user_repeat(a, "s", "key", "body"), *later, *repeat;
    char *record;

    user_until_begun_now(first);
    record = support_redis_ask(redis_server, "KEYS c1:{default}:idem:*");
    free(support_redis_ask(redis_server, "DEL %s", record));
    free(record);
    later = user_repeat(b, "t", "key", "another body");
    user_until_begun_now(later);
    user_save(first, "q", "a");
    user_until_saved(first);
    ck_assert(first->saved);
    repeat = user_repeat(b, "t", "key", "another body");
    until_queue_has("t", 1);
    user_save(later, "q", "the answer");
    is_replay(repeat);
}
END_TEST

START_TEST(the_record_lives_as_long_as_the_setting_says)
{
    char *key, *ttl;

    settings.session.ttl = 0;
    answered(a);
    key = support_redis_ask(redis_server, "KEYS c1:{default}:idem:*");
    ttl = support_redis_ask(redis_server, "PTTL %s", key);
    ck_assert_int_gt(atoi(ttl), settings.session.idempotency_ttl - 60000);
    ck_assert_int_le(atoi(ttl), settings.session.idempotency_ttl);
    free(ttl);
    free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session_repeat");
    TCase *repeat = tcase_create("repeat");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, repeat);
    tcase_add_unchecked_fixture(repeat, session_case_setup, session_case_teardown);
    tcase_add_checked_fixture(repeat, setup, session_teardown);
    tcase_set_timeout(repeat, 60);
    tcase_add_test(repeat, a_later_repeat_gets_the_first_answer_and_locks_nothing);
    tcase_add_test(repeat, a_repeat_finds_its_answer_also_while_another_turn_runs);
    tcase_add_loop_test(repeat, a_repeat_in_flight_waits_for_the_first_and_gets_its_answer, 0, 2);
    tcase_add_test(repeat, two_at_the_same_moment_are_answered_once);
    tcase_add_test(repeat, a_repeat_that_waited_lets_the_next_one_in);
    tcase_add_loop_test(repeat, another_request_under_the_same_key_is_refused, 0, 2);
    tcase_add_test(repeat, the_same_key_of_another_tenant_is_another);
    tcase_add_test(repeat, a_failed_turn_is_not_kept_and_its_repeat_asks_again);
    tcase_add_test(repeat, the_key_of_a_failed_turn_is_free_for_another_request);
    tcase_add_test(repeat, the_key_of_a_dead_turn_is_free_after_its_lease);
    tcase_add_loop_test(repeat,
                        when_the_first_died_one_repeat_asks_again_and_the_others_get_its_answer,
                        0, 2);
    tcase_add_test(repeat, a_long_turn_stays_known_to_its_repeats);
    tcase_add_test(repeat, a_stalled_turn_leaves_the_record_of_a_later_request_alone);
    tcase_add_test(repeat, the_record_lives_as_long_as_the_setting_says);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
