/* The demo model. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/demo.h"
#include "tests/unit/support.h"

static struct loop      *loop;
static struct demo_call *call;
static struct buf        heard;
static int  pieces, ends;
static bool done, pause_next, cancel_next;

static void on_text(void *arg, const char *text, size_t len)
{
    (void)arg;
    ck_assert_uint_gt(len, 0);
    ck_assert(text_is_utf8(text, len));
    buf_add(&heard, text, len);
    pieces++;
    if (pause_next)
        demo_pause(call);
    if (cancel_next)
        demo_cancel(call);
}

static void on_done(void *arg, const struct model_answer *answer, const struct err *e)
{
    (void)arg;
    ck_assert_ptr_null(e);
    ck_assert_str_eq(answer->finish_reason, "stop");
    ck_assert_str_eq(answer->model, "demo");
    ends++;
    done = true;
}

static const struct model_handlers handlers = { on_text, on_done };

static void setup(void)
{
    loop = loop_new();
    buf_init(&heard, 1 << 16);
    pieces = ends = 0;
    done = pause_next = cancel_next = false;
}

static void teardown(void)
{
    buf_close(&heard);
    loop_free(loop);
}

static struct model_question question(const char *user, size_t turns)
{
    static const struct session_part parts[3] = { { "{}", 2 }, { "{}", 2 }, { "{}", 2 } };

    return (struct model_question){
        .system = "Be kind.", .window = parts, .window_count = turns,
        .user = user, .user_len = strlen(user),
    };
}

static char *answer_to(const char *user, size_t turns)
{
    struct model_question q = question(user, turns);
    struct buf out;

    buf_init(&out, 1 << 16);
    ck_assert(demo_answer(&out, &q));
    return buf_steal(&out, NULL);
}

#define LONG_QUESTION "Which of the three roads to the sea is the best one for a slow old donkey?"

static const char *const users[] = {
    "Hi", "two\nlines \x01 and a bell", LONG_QUESTION,
    "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D \xF0\x9F\x98\x80",
    "a_very_long_word_without_a_single_blank_"
    "\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80_in_it",
};

START_TEST(every_answer_says_that_it_is_the_demo_and_how_to_get_a_real_model)
{
    char *answer = answer_to(users[_i], 0);

    ck_assert_ptr_nonnull(strstr(answer, "demo model"));
    ck_assert_ptr_nonnull(strstr(answer, "OPENAI_API_KEY"));
    ck_assert(text_is_utf8(answer, strlen(answer)));
    free(answer);
}
END_TEST

START_TEST(equal_questions_get_equal_answers)
{
    char *one = answer_to(users[_i], 2), *two = answer_to(users[_i], 2);

    ck_assert_str_eq(one, two);
    free(one);
    free(two);
}
END_TEST

START_TEST(it_repeats_what_was_asked_and_counts_what_it_remembers)
{
    char *none = answer_to("Hi there", 0), *one = answer_to("Hi", 1), *three = answer_to("Hi", 3);

    ck_assert_ptr_nonnull(strstr(none, "> Hi there\n"));
    ck_assert_ptr_nonnull(strstr(none, "first turn"));
    ck_assert_ptr_nonnull(strstr(one, "one earlier turn of"));
    ck_assert_ptr_nonnull(strstr(three, "3 earlier turns"));
    free(none);
    free(one);
    free(three);
}
END_TEST

START_TEST(the_quotation_stays_on_one_line_and_is_cut_between_characters)
{
    char  user[512] = "a\nb ";
    char *answer;

    for (int i = 0; i < 60; i++)
        strcat(user, "\xF0\x9F\x98\x80");
    answer = answer_to(user, 0);
    ck_assert_ptr_nonnull(strstr(answer, "> a b \xF0\x9F\x98\x80"));
    ck_assert_ptr_nonnull(strstr(answer, "\xF0\x9F\x98\x80 ...\n"));
    ck_assert(text_is_utf8(answer, strlen(answer)));
    free(answer);
}
END_TEST

START_TEST(a_long_question_gets_a_list_a_table_and_code)
{
    char *answer = answer_to(LONG_QUESTION, 0);

    ck_assert_ptr_nonnull(strstr(answer, "\n- "));
    ck_assert_ptr_nonnull(strstr(answer, "| words | 17 |"));
    ck_assert_ptr_nonnull(strstr(answer, "```sh\n"));
    free(answer);
}
END_TEST

START_TEST(the_pieces_are_the_answer_and_come_after_the_call)
{
    struct model_question q = question(users[_i], 1);
    char *whole = answer_to(users[_i], 1);

    call = demo_ask(loop, &q, &handlers, NULL);
    ck_assert_int_eq(pieces, 0);
    support_until(loop, &done);
    ck_assert_str_eq(heard.data, whole);
    ck_assert_int_gt(pieces, 10);
    support_turn(loop, 20);
    ck_assert_int_eq(ends, 1);
    free(whole);
}
END_TEST

START_TEST(a_long_word_is_cut_between_characters) /* _i: where its first emoji begins */
{
    char   word[128] = "aaaa";
    size_t len;

    word[_i] = '\0';
    for (int i = 0; i < 10; i++)
        strcat(word, "\xF0\x9F\x98\x80");
    len = demo_piece(word, strlen(word));
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_le(len, 24);
    ck_assert(text_is_utf8(word, len));
}
END_TEST

START_TEST(nothing_comes_while_it_is_paused)
{
    struct model_question q = question("Hi", 0);

    call = demo_ask(loop, &q, &handlers, NULL);
    demo_pause(call);
    support_turn(loop, 20);
    ck_assert_int_eq(pieces, 0);
    pause_next = true;
    demo_resume(call);
    support_until_count(loop, &pieces, 1);
    support_turn(loop, 20);
    ck_assert_int_eq(pieces, 1);
    pause_next = false;
    demo_resume(call);
    support_until(loop, &done);
    ck_assert_int_eq(ends, 1);
}
END_TEST

START_TEST(nothing_comes_after_it_was_cancelled)
{
    struct model_question q = question("Hi", 0);

    call = demo_ask(loop, &q, &handlers, NULL);
    demo_cancel(call);
    cancel_next = true;
    call = demo_ask(loop, &q, &handlers, NULL);
    support_until_count(loop, &pieces, 1);
    support_turn(loop, 20);
    ck_assert_int_eq(pieces, 1);
    ck_assert_int_eq(ends, 0);
    demo_cancel(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("demo");
    TCase *t = tcase_create("demo");
    int    n = sizeof(users) / sizeof(*users);

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, every_answer_says_that_it_is_the_demo_and_how_to_get_a_real_model, 0, n);
    tcase_add_loop_test(t, equal_questions_get_equal_answers, 0, n);
    tcase_add_test(t, it_repeats_what_was_asked_and_counts_what_it_remembers);
    tcase_add_test(t, the_quotation_stays_on_one_line_and_is_cut_between_characters);
    tcase_add_test(t, a_long_question_gets_a_list_a_table_and_code);
    tcase_add_loop_test(t, the_pieces_are_the_answer_and_come_after_the_call, 0, n);
    tcase_add_loop_test(t, a_long_word_is_cut_between_characters, 0, 5);
    tcase_add_test(t, nothing_comes_while_it_is_paused);
    tcase_add_test(t, nothing_comes_after_it_was_cancelled);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
