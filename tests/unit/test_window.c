/* What fits into the model's context. */
#include <check.h>
#include <string.h>

#include "lib/chat/turn.h"
#include "lib/chat/window.h"
#include "tests/unit/support.h"

static const struct { const char *text; int64_t tokens; } texts[] = {
    { "", 4 },
    { "a", 5 },
    { "The quick brown fox.", 4 + 5 },
    { "Привет", 4 + 3 },
    { "日本語", 4 + 3 },
    { "🙂🙂", 4 + 4 },
    { "\x80\xBF", 4 },
};

START_TEST(a_text_is_estimated_by_its_scripts)
{
    ck_assert_int_eq(window_estimate(texts[_i].text, strlen(texts[_i].text)), texts[_i].tokens);
}
END_TEST

START_TEST(a_stored_turn_is_estimated_as_its_two_texts)
{
    struct turn t = { .user = "twelve bytes", .user_len = 12, .bot = "and eight", .bot_len = 8,
                      .model = "m" };
    struct session_part part;
    struct buf entry;

    buf_init(&entry, 4096);
    ck_assert(turn_encode(&entry, &t));
    turn_messages(entry.data, entry.len, &part.s, &part.len);
    ck_assert_int_eq(window_estimate_turn(&part), window_estimate(t.user, t.user_len) +
                                                  window_estimate(t.bot, t.bot_len));
    ck_assert_int_eq(window_estimate_turn(&(struct session_part){ "", 0 }), 8);
    buf_close(&entry);
}
END_TEST

START_TEST(before_any_report_the_estimate_stands)
{
    struct window_scale scale = { 0 };

    ck_assert_int_eq(window_tokens(&scale, 123), 123);
}
END_TEST

START_TEST(reports_move_the_scale_step_by_step_to_what_is_true)
{
    struct window_scale scale = { 0 };

    window_learn(&scale, 1000, 1500);
    ck_assert_int_eq(window_tokens(&scale, 1000), 1100);
    for (int i = 0; i < 50; i++)
        window_learn(&scale, 1000, 1500);
    ck_assert_int_ge(window_tokens(&scale, 1000), 1499);
    ck_assert_int_le(window_tokens(&scale, 1000), 1501);
}
END_TEST

START_TEST(a_strange_report_is_believed_within_bounds)
{
    struct window_scale high = { 0 }, low = { 0 };

    for (int i = 0; i < 100; i++) {
        window_learn(&high, 100, INT64_MAX);
        window_learn(&low, INT64_MAX, 1);
    }
    ck_assert_int_le(window_tokens(&high, 1000), 3001);
    ck_assert_int_ge(window_tokens(&low, 1000), 500);
}
END_TEST

START_TEST(no_report_and_a_short_prompt_teach_nothing)
{
    struct window_scale scale = { 0 };

    window_learn(&scale, 1000, 0);
    window_learn(&scale, 1000, -1);
    window_learn(&scale, 20, 200);
    ck_assert_int_eq(window_tokens(&scale, 1000), 1000);
}
END_TEST

/* Three turns of 62 bytes of frame and text of 40, 400 and 40 bytes: 18, 108 and 18 tokens. */
static struct session_part parts[3];

static void setup(void)
{
    static char text[3][512];
    static const int len[] = { 102, 462, 102 };

    for (int i = 0; i < 3; i++) {
        memset(text[i], 'x', sizeof(text[i]));
        parts[i] = (struct session_part){ text[i], (size_t)len[i] };
    }
}

static const struct { int64_t tokens; size_t fit; int64_t estimated; } budgets[] = {
    { -5, 0, 0 }, { 0, 0, 0 }, { 17, 0, 0 }, { 19, 1, 0 }, { 100, 1, 0 }, { 127, 2, 0 },
    { 200, 3, 0 },
};

START_TEST(the_newest_turns_fit_whole_and_without_a_gap)
{
    struct window_scale scale = { 0 };
    int64_t estimated, sum = 0;
    size_t fit = window_fit(&scale, parts, 3, budgets[_i].tokens, &estimated);

    ck_assert_uint_eq(fit, budgets[_i].fit);
    for (size_t i = 3 - fit; i < 3; i++)
        sum += window_estimate_turn(&parts[i]);
    ck_assert_int_eq(estimated, sum);
}
END_TEST

START_TEST(where_the_model_counts_more_less_fits)
{
    struct window_scale twice = { 2 };
    int64_t estimated;

    ck_assert_uint_eq(window_fit(&twice, parts, 3, 127, &estimated), 1);
    ck_assert_uint_eq(window_fit(&twice, parts, 3, 260, &estimated), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *t = tcase_create("window");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, a_text_is_estimated_by_its_scripts, 0,
                        sizeof(texts) / sizeof(*texts));
    tcase_add_test(t, a_stored_turn_is_estimated_as_its_two_texts);
    tcase_add_test(t, before_any_report_the_estimate_stands);
    tcase_add_test(t, reports_move_the_scale_step_by_step_to_what_is_true);
    tcase_add_test(t, a_strange_report_is_believed_within_bounds);
    tcase_add_test(t, no_report_and_a_short_prompt_teach_nothing);
    tcase_add_loop_test(t, the_newest_turns_fit_whole_and_without_a_gap, 0,
                        sizeof(budgets) / sizeof(*budgets));
    tcase_add_test(t, where_the_model_counts_more_less_fits);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
