/* A stored turn: out and in again. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/turn.h"

static struct buf entry;

static void setup(void)
{
    buf_init(&entry, 1 << 20);
}

static void teardown(void)
{
    buf_close(&entry);
}

static struct turn a_turn(const char *user, const char *bot)
{
    return (struct turn){
        .id = 1772357400000123, .asked_at = 1772357400000, .answered_at = 1772357403210,
        .user = user, .user_len = strlen(user), .bot = bot, .bot_len = strlen(bot),
        .model = "gpt-4o-mini",
    };
}

START_TEST(the_form_is_the_documented_one)
{
    struct turn t = a_turn("hi", "hello");

    ck_assert(turn_encode(&entry, &t));
    ck_assert_str_eq(entry.data,
        "{\"id\":1772357400000123,\"asked\":1772357400000,\"answered\":1772357403210,"
        "\"model\":\"gpt-4o-mini\"}\n"
        "{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"hello\"}");
}
END_TEST

START_TEST(what_goes_in_comes_out)
{
    struct turn in = a_turn("two\nlines \"quoted\" \\ \t \x01", "\xf0\x9f\x98\x80 \xd8\xb9 {},\n\n");
    struct turn_holder holder;
    struct turn out;
    struct err e = ERR_NONE;

    if (_i == 1) {
        in.user = "with\0nul";
        in.user_len = 8;
        in.interrupted = true;
    }
    ck_assert(turn_encode(&entry, &in));
    ck_assert_int_eq(turn_decode(entry.data, entry.len, &out, &holder, &e), ERR_OK);
    ck_assert_int_eq(out.id, in.id);
    ck_assert_int_eq(out.asked_at, in.asked_at);
    ck_assert_int_eq(out.answered_at, in.answered_at);
    ck_assert_uint_eq(out.user_len, in.user_len);
    ck_assert_mem_eq(out.user, in.user, in.user_len);
    ck_assert_uint_eq(out.bot_len, in.bot_len);
    ck_assert_mem_eq(out.bot, in.bot, in.bot_len);
    ck_assert_str_eq(out.model, in.model);
    ck_assert(out.interrupted == in.interrupted);
    turn_release(&holder);
}
END_TEST

START_TEST(its_second_line_is_what_the_model_gets)
{
    struct turn t = a_turn("line\nline", "a");
    const char *messages;
    size_t len;

    ck_assert(turn_encode(&entry, &t));
    turn_messages(entry.data, entry.len, &messages, &len);
    ck_assert_uint_eq(len, strlen(messages));
    ck_assert_str_eq(messages, "{\"role\":\"user\",\"content\":\"line\\nline\"},"
                               "{\"role\":\"assistant\",\"content\":\"a\"}");
}
END_TEST

static const char *const broken[] = {
    "", "{", "\n", "{}\n", "{}", "{\"id\":1}\n{", "{\"id\":1}\n{}", "{\"id\":1}\n}{",
    "no json\n{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}",
    "{\"id\":1}\n{\"role\":\"user\",\"content\":\"a\"}",
    "{\"id\":1}\n{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}",
    "{\"id\":1}\n{\"role\":\"user\",\"content\":1},{\"role\":\"assistant\",\"content\":\"b\"}",
    "{\"id\":1}\n{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},{}",
};

START_TEST(a_broken_entry_is_our_fault_and_nothing_is_left_of_it)
{
    struct turn_holder holder;
    struct err e = ERR_NONE;
    struct turn t;

    ck_assert_int_eq(turn_decode(broken[_i], strlen(broken[_i]), &t, &holder, &e), ERR_INTERNAL);
    ck_assert_int_eq(e.code, ERR_INTERNAL);
    ck_assert_str_ne(e.detail, "");
    ck_assert_ptr_null(holder.meta);
    ck_assert_ptr_null(t.user);
    turn_release(&holder);
}
END_TEST

START_TEST(an_entry_of_one_line_has_no_messages)
{
    const char *messages;
    size_t len;

    for (size_t i = 0; i < 5; i++) {
        turn_messages(broken[i], strlen(broken[i]), &messages, &len);
        ck_assert_uint_eq(len, 0);
        ck_assert_str_eq(messages, "");
    }
}
END_TEST

START_TEST(a_turn_larger_than_the_buffer_is_refused)
{
    struct turn t = a_turn("hi", "hello");
    struct buf small;

    buf_init(&small, 64);
    ck_assert(!turn_encode(&small, &t));
    buf_close(&small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turn");
    TCase *form = tcase_create("form");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, form);
    tcase_add_checked_fixture(form, setup, teardown);
    tcase_add_test(form, the_form_is_the_documented_one);
    tcase_add_loop_test(form, what_goes_in_comes_out, 0, 2);
    tcase_add_test(form, its_second_line_is_what_the_model_gets);
    tcase_add_loop_test(form, a_broken_entry_is_our_fault_and_nothing_is_left_of_it, 0,
                        sizeof broken / sizeof broken[0]);
    tcase_add_test(form, an_entry_of_one_line_has_no_messages);
    tcase_add_test(form, a_turn_larger_than_the_buffer_is_refused);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
