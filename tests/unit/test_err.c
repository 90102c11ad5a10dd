/* The error value that travels. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/text.h"
#include "tests/unit/support.h"

static struct err e;

START_TEST(each_caller_adds_what_it_was_doing_and_the_code_stays)
{
    ck_assert_int_eq(err_set(&e, ERR_STORE, "status %d", 7), ERR_STORE);
    ck_assert_int_eq(err_wrap(&e, "asking %s", "redis"), ERR_STORE);
    ck_assert_int_eq(err_wrap(&e, "loading the session"), ERR_STORE);
    ck_assert_str_eq(e.detail, "loading the session: asking redis: status 7");
}
END_TEST

START_TEST(wrapping_no_error_leaves_it_one)
{
    e = ERR_NONE;
    ck_assert_int_eq(err_wrap(&e, "loading"), ERR_OK);
    ck_assert_str_eq(e.detail, "");
}
END_TEST

START_TEST(a_new_error_keeps_nothing_of_the_old_one)
{
    err_field(&e, "user_text", "is missing");
    e.retry_after = 9;
    err_set(&e, ERR_STORE, "gone");
    ck_assert_str_eq(e.field, "");
    ck_assert_int_eq(e.retry_after, 0);
}
END_TEST

START_TEST(wrapping_keeps_the_field_and_the_time_to_wait)
{
    err_field(&e, "user_text", "is missing");
    e.retry_after = 9;
    err_wrap(&e, "reading the request");
    ck_assert_str_eq(e.field, "user_text");
    ck_assert_int_eq(e.retry_after, 9);
    ck_assert_str_eq(e.detail, "reading the request: user_text: is missing");
}
END_TEST

START_TEST(an_error_may_be_made_of_its_own_words)
{
    err_set(&e, ERR_STORE, "refused");
    err_set(&e, ERR_NOT_SAVED, "after 3 tries: %s", e.detail);
    ck_assert_str_eq(e.detail, "after 3 tries: refused");
    err_wrap(&e, "%s", e.detail);
    ck_assert_str_eq(e.detail, "after 3 tries: refused: after 3 tries: refused");
}
END_TEST

START_TEST(a_caller_that_wants_no_detail_gets_the_code)
{
    ck_assert_int_eq(err_set(NULL, ERR_STORE, "x"), ERR_STORE);
    ck_assert_int_eq(err_field(NULL, "f", "x"), ERR_INVALID);
}
END_TEST

START_TEST(what_is_too_long_is_cut_at_a_whole_character) /* loop: the character's place */
{
    char text[600];

    memset(text, 'a', sizeof(text));
    for (size_t i = (size_t)_i; i + 4 <= sizeof(text) - 1; i += 4)
        memcpy(text + i, "\xF0\x9F\x90\xA6", 4);
    text[sizeof(text) - 1] = '\0';
    err_set(&e, ERR_STORE, "%s", text);
    ck_assert_uint_ge(strlen(e.detail), sizeof(e.detail) - 4);
    ck_assert(text_is_utf8(e.detail, strlen(e.detail)));
    err_wrap(&e, "twice");
    ck_assert(text_is_utf8(e.detail, strlen(e.detail)));
    err_field(&e, text, "is unknown");
    ck_assert(text_is_utf8(e.field, strlen(e.field)));
}
END_TEST

START_TEST(a_client_reads_details_of_its_own_input_only)
{
    err_field(&e, "user_text", "is missing");
    ck_assert_str_eq(err_public_detail(&e), "user_text: is missing");
    err_set(&e, ERR_UPSTREAM, "status 500 from 10.0.0.7");
    ck_assert_str_eq(err_public_detail(&e), err_title(ERR_UPSTREAM));
    err_set(&e, ERR_LOCKED, "%s", "");
    ck_assert_str_eq(err_public_detail(&e), err_title(ERR_LOCKED));
}
END_TEST

START_TEST(every_code_has_a_status_a_name_of_its_own_and_words)
{
    for (int i = 0; i < ERR_COUNT; i++) {
        ck_assert_int_ge(err_status((enum err_code)i), 200);
        ck_assert_int_le(err_status((enum err_code)i), 599);
        ck_assert_uint_gt(strlen(err_title((enum err_code)i)), 0);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(err_name((enum err_code)i), err_name((enum err_code)j));
    }
    ck_assert_int_eq(err_status(ERR_INVALID), 422);
    ck_assert_str_eq(err_name(ERR_LOCKED), "conversation_locked");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("err");
    TCase *tc = tcase_create("err");

    tcase_add_test(tc, each_caller_adds_what_it_was_doing_and_the_code_stays);
    tcase_add_test(tc, wrapping_no_error_leaves_it_one);
    tcase_add_test(tc, a_new_error_keeps_nothing_of_the_old_one);
    tcase_add_test(tc, wrapping_keeps_the_field_and_the_time_to_wait);
    tcase_add_test(tc, an_error_may_be_made_of_its_own_words);
    tcase_add_test(tc, a_caller_that_wants_no_detail_gets_the_code);
    tcase_add_loop_test(tc, what_is_too_long_is_cut_at_a_whole_character, 0, 4);
    tcase_add_test(tc, a_client_reads_details_of_its_own_input_only);
    tcase_add_test(tc, every_code_has_a_status_a_name_of_its_own_and_words);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
