/* What a fault means for its task: another try, when, and whether this one counts. */
#include <check.h>
#include <string.h>

#include "jobrunner/retry.h"
#include "tests/unit/support.h"

static struct settings settings;

static struct retry decide(enum store_verdict v, int64_t attempts, int64_t age, int retry_after)
{
    struct task t = { .attempts = attempts, .tries = attempts, .created_at = 1000000,
                      .started_at = 1000000 + age };

    return retry_decide(&settings, &t, v, retry_after);
}

static void setup(void)
{
    memset(&settings, 0, sizeof settings);
    settings.tasks.retry_base = 1000;
    settings.tasks.retry_max = 60000;
    settings.tasks.attempts = 25;
    settings.tasks.fault_grace = 3600 * 1000;
}

START_TEST(the_wait_doubles_up_to_its_maximum_and_is_spread)
{
    static const int64_t whole[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };

    for (int64_t i = 0; i < 8; i++) {
        int64_t least = INT64_MAX, most = 0;

        for (int n = 0; n < 200; n++) {
            int64_t ms = decide(STORE_TRY_AGAIN, i + 1, 0, 0).delay_ms;

            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        ck_assert_int_ge(least, whole[i] / 2);
        ck_assert_int_lt(least, whole[i] * 6 / 10);
        ck_assert_int_gt(most, whole[i] * 9 / 10);
        ck_assert_int_le(most, whole[i]);
    }
    ck_assert_int_le(decide(STORE_TRY_AGAIN, INT64_MAX, 0, 0).delay_ms, 60000);
}
END_TEST

START_TEST(quota_answers_cost_nothing_and_are_waited_for_as_they_say)
{
    struct retry r = decide(STORE_LIMITED, 1000, INT64_C(1) << 40, 7200);

    ck_assert(!r.counts && !r.give_up);
    ck_assert_int_ge(r.delay_ms, 7200 * 1000);
    ck_assert_int_lt(r.delay_ms, 7200 * 1000 + 1000);
}
END_TEST

START_TEST(a_store_that_is_away_costs_attempts_only_after_the_grace)
{
    ck_assert(!decide(STORE_AWAY, 25, 3600 * 1000 - 1, 0).counts);
    ck_assert(!decide(STORE_AWAY, 25, 3600 * 1000 - 1, 0).give_up);
    ck_assert(decide(STORE_AWAY, 24, 3600 * 1000, 0).counts);
    ck_assert(!decide(STORE_AWAY, 24, 3600 * 1000, 0).give_up);
    ck_assert(decide(STORE_AWAY, 25, 3600 * 1000, 0).give_up);
}
END_TEST

START_TEST(a_fault_of_configuration_pauses_the_queue_however_often_and_costs_nothing)
{
    for (int64_t i = 1; i < 50; i++) {
        struct retry r = decide(STORE_MISCONFIGURED, i, 0, 0);

        ck_assert(r.pause && !r.counts && !r.give_up);
    }
    ck_assert(!decide(STORE_TRY_AGAIN, 1, 0, 0).pause);
    ck_assert(!decide(STORE_IMPOSSIBLE, 1, 0, 0).pause);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("retry");
    TCase *t = tcase_create("decide");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, the_wait_doubles_up_to_its_maximum_and_is_spread);
    tcase_add_test(t, quota_answers_cost_nothing_and_are_waited_for_as_they_say);
    tcase_add_test(t, a_store_that_is_away_costs_attempts_only_after_the_grace);
    tcase_add_test(t, a_fault_of_configuration_pauses_the_queue_however_often_and_costs_nothing);
    suite_add_tcase(s, t);
    return support_run(s);
}
