/* The rolling summary, with the demo model: it always has something to say. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/lua_scripts.h"
#include "lib/chat/memory.h"
#include "tests/unit/session_support.h"

#define HASH "c1:{default}:s:1:s"

static struct child  *child;
static struct model  *model;
static struct memory *memory;

static void setup(void)
{
    struct err e = ERR_NONE;

    session_setup();
    settings.session.memory = MEMORY_SUMMARY;
    settings.session.summary_tokens = 100;
    settings.session.summary_timeout = 10000;
    settings.model.api_key = "";
    settings.model.demo = DEMO_FALLBACK;
    child = child_new();
    ck_assert_msg(model_new(loop, &settings, &model, &e) == ERR_OK, "%s", e.detail);
    memory = memory_new(loop, child->redis, model, &settings);
    ck_assert_ptr_nonnull(memory);
    take_turn(child, "s", "one", "uno");
    take_turn(child, "s", "two", "due");
    take_turn(child, "s", "three", "tre");
}

static void teardown(void)
{
    memory_free(memory);
    model_free(model);
    session_teardown();
}

static bool is_idle(void *arg)
{
    return memory_folding(arg) == 0;
}

static void fold(int64_t last)
{
    memory_fold(memory, "default", "s", 1, last);
    support_until_true(loop, is_idle, memory);
}

static char said[32];

static void on_said(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct redis_arg word = redis_reply_text(redis_reply_at(reply, 0));

    ck_assert_ptr_null(e);
    snprintf(said, sizeof(said), "%.*s", (int)word.len, word.s);
    *(bool *)arg = true;
}

/* What memory_save answers, for the session as it was created then. */
static const char *saved(const char *created, const char *covered, const char *summary)
{
    struct key session = key_session("default", "s", 1, "");
    bool done = false;

    ck_assert_ptr_nonnull(redis_eval(child->redis, 0, &lua_memory_save,
        (struct redis_arg[]){ key_arg(&session) }, 1, (struct redis_arg[]){
            redis_str(created), redis_str(covered), redis_str(summary) }, 3, on_said, &done));
    support_until(loop, &done);
    return said;
}

START_TEST(the_turns_up_to_the_last_are_folded)
{
    fold(2);
    expect("2", "HGET " HASH " summary_turns");
    expect("1", "HEXISTS " HASH " summary");
    fold(3);
    expect("3", "HGET " HASH " summary_turns");
    expect("3", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(what_is_in_the_summary_is_not_folded_again)
{
    fold(2);
    free(support_redis_ask(redis_server, "HSET " HASH " summary kept"));
    fold(2);
    fold(1);
    expect("kept", "HGET " HASH " summary");
}
END_TEST

START_TEST(no_more_is_folded_than_there_is)
{
    fold(100);
    expect("3", "HGET " HASH " summary_turns");
}
END_TEST

START_TEST(without_the_setting_nothing_is_folded)
{
    settings.session.memory = MEMORY_WINDOW;
    memory_fold(memory, "default", "s", 1, 2);
    ck_assert_uint_eq(memory_folding(memory), 0);
}
END_TEST

START_TEST(a_session_is_folded_once_at_a_time_and_few_at_all)
{
    memory_fold(memory, "default", "s", 1, 2);
    memory_fold(memory, "default", "s", 1, 3);
    ck_assert_uint_eq(memory_folding(memory), 1);
    memory_fold(memory, "default", "a", 1, 2);
    memory_fold(memory, "default", "b", 1, 2);
    ck_assert_uint_eq(memory_folding(memory), MEMORY_FOLDS_MAX);
    support_until_true(loop, is_idle, memory);
    expect("2", "HGET " HASH " summary_turns");
}
END_TEST

START_TEST(a_session_that_is_not_there_stays_so)
{
    memory_fold(memory, "default", "none", 4, 2);
    support_until_true(loop, is_idle, memory);
    expect("0", "EXISTS c1:{default}:s:4:none");
}
END_TEST

START_TEST(what_is_given_up_is_not_saved)
{
    memory_fold(memory, "default", "s", 1, 2);
    memory_free(memory);
    memory = NULL;
    take_turn(child, "s", "four", "quattro");
    expect("0", "HEXISTS " HASH " summary");
}
END_TEST

START_TEST(an_older_summary_never_takes_the_place_of_a_newer_one)
{
    char *created = support_redis_ask(redis_server, "HGET " HASH " created");

    ck_assert_str_eq(saved(created, "2", "newer"), "saved");
    ck_assert_str_eq(saved(created, "1", "older"), "stale");
    ck_assert_str_eq(saved(created, "2", "again"), "stale");
    expect("newer", "HGET " HASH " summary");
    free(created);
}
END_TEST

START_TEST(a_summary_of_a_session_that_was_deleted_is_not_saved)
{
    char *created = support_redis_ask(redis_server, "HGET " HASH " created");

    free(support_redis_ask(redis_server, "DEL " HASH));
    ck_assert_str_eq(saved(created, "2", "words"), "gone");
    expect("0", "EXISTS " HASH);
    free(support_redis_ask(redis_server, "HSET " HASH " created 5"));
    ck_assert_str_eq(saved(created, "2", "words"), "gone");
    expect("0", "HEXISTS " HASH " summary");
    free(created);
}
END_TEST

START_TEST(a_summary_does_not_prolong_the_life_of_its_session)
{
    char *left;

    free(support_redis_ask(redis_server, "PEXPIRE " HASH " 60000"));
    fold(2);
    left = support_redis_ask(redis_server, "PTTL " HASH);
    ck_assert_int_le(atoll(left), 60000);
    ck_assert_int_gt(atoll(left), 0);
    free(left);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *t = tcase_create("memory");

    tcase_add_unchecked_fixture(t, session_case_setup, session_case_teardown);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_turns_up_to_the_last_are_folded);
    tcase_add_test(t, what_is_in_the_summary_is_not_folded_again);
    tcase_add_test(t, no_more_is_folded_than_there_is);
    tcase_add_test(t, without_the_setting_nothing_is_folded);
    tcase_add_test(t, a_session_is_folded_once_at_a_time_and_few_at_all);
    tcase_add_test(t, a_session_that_is_not_there_stays_so);
    tcase_add_test(t, what_is_given_up_is_not_saved);
    tcase_add_test(t, an_older_summary_never_takes_the_place_of_a_newer_one);
    tcase_add_test(t, a_summary_of_a_session_that_was_deleted_is_not_saved);
    tcase_add_test(t, a_summary_does_not_prolong_the_life_of_its_session);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
