/* Which upstream is asked. */
#include <check.h>
#include <stdlib.h>

#include "lib/chat/fallback.h"
#include "tests/unit/support.h"

static struct fallback f;

static void setup(void)
{
    fallback_init(&f, 3, 1000);
}

START_TEST(the_first_is_asked_and_then_each_once)
{
    ck_assert_int_eq(fallback_pick(&f, 0, 0), 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 0), 0);
    ck_assert_int_eq(fallback_pick(&f, 1, 0), 1);
    ck_assert_int_eq(fallback_pick(&f, 3, 0), 2);
    ck_assert_int_eq(fallback_pick(&f, 7, 0), -1);
    ck_assert_uint_eq(f.all[0].asked, 2);
}
END_TEST

START_TEST(one_that_failed_is_passed_by_until_it_has_cooled_down)
{
    fallback_failed(&f, 0, 0, 0);
    ck_assert_int_eq(fallback_cooling(&f, 0, 0), 1000);
    ck_assert_int_eq(fallback_pick(&f, 0, 999), 1);
    ck_assert_int_eq(fallback_cooling(&f, 0, 1000), 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 1000), 0);
}
END_TEST

START_TEST(a_single_turn_finds_out_whether_it_is_well_again)
{
    fallback_failed(&f, 0, 0, 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 2000), 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 2000), 1);
    fallback_answered(&f, 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 2000), 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 2000), 0);
}
END_TEST

START_TEST(a_trial_that_fails_begins_the_cool_down_anew)
{
    fallback_failed(&f, 0, 0, 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 2000), 0);
    fallback_failed(&f, 0, 0, 2000);
    ck_assert_int_eq(fallback_pick(&f, 0, 2999), 1);
    ck_assert_int_eq(fallback_pick(&f, 0, 3000), 0);
}
END_TEST

START_TEST(a_trial_that_shows_nothing_leaves_it_to_the_next_turn)
{
    fallback_failed(&f, 0, 0, 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 2000), 0);
    fallback_undecided(&f, 0);
    ck_assert_int_eq(fallback_pick(&f, 0, 2000), 0);
}
END_TEST

START_TEST(a_time_that_the_server_names_is_kept_unless_it_is_forever)
{
    fallback_failed(&f, 0, 5000, 0);
    ck_assert_int_eq(fallback_cooling(&f, 0, 0), 5000);
    fallback_failed(&f, 0, 500, 0);
    ck_assert_int_eq(fallback_cooling(&f, 0, 0), 1000);
    fallback_failed(&f, 0, 365LL * 86400 * 1000, 0);
    ck_assert_int_eq(fallback_cooling(&f, 0, 0), 600 * 1000);
}
END_TEST

START_TEST(when_all_cool_down_the_one_that_is_ready_first_is_asked)
{
    fallback_failed(&f, 0, 3000, 0);
    fallback_failed(&f, 1, 0, 0);
    fallback_failed(&f, 2, 2000, 0);
    ck_assert(!fallback_has_better(&f, 0, 0));
    ck_assert_int_eq(fallback_pick(&f, 0, 0), 1);
    ck_assert_int_eq(fallback_pick(&f, 2, 0), 2);
    ck_assert_int_eq(fallback_pick(&f, 6, 0), 0);
    ck_assert_int_eq(fallback_pick(&f, 7, 0), -1);
}
END_TEST

START_TEST(better_is_one_that_was_not_tried_and_does_not_cool_down)
{
    ck_assert(fallback_has_better(&f, 1, 0));
    fallback_failed(&f, 1, 0, 0);
    ck_assert(fallback_has_better(&f, 1, 0));
    ck_assert(!fallback_has_better(&f, 5, 0));
    ck_assert(fallback_has_better(&f, 5, 1000));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fallback");
    TCase *t = tcase_create("choice");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_first_is_asked_and_then_each_once);
    tcase_add_test(t, one_that_failed_is_passed_by_until_it_has_cooled_down);
    tcase_add_test(t, a_single_turn_finds_out_whether_it_is_well_again);
    tcase_add_test(t, a_trial_that_fails_begins_the_cool_down_anew);
    tcase_add_test(t, a_trial_that_shows_nothing_leaves_it_to_the_next_turn);
    tcase_add_test(t, a_time_that_the_server_names_is_kept_unless_it_is_forever);
    tcase_add_test(t, when_all_cool_down_the_one_that_is_ready_first_is_asked);
    tcase_add_test(t, better_is_one_that_was_not_tried_and_does_not_cool_down);
    suite_add_tcase(s, t);
    return support_run(s);
}
