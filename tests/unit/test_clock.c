/* Time. */
#include <check.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/unit/support.h"

static int64_t five_seconds(void) { return 5000999; }
static int64_t the_epoch(void)    { return 0; }

START_TEST(tests_may_put_their_own_clock_in_and_take_it_out)
{
    static const struct clock mine = { five_seconds, the_epoch };

    clock_use(&mine);
    ck_assert_int_eq(clock_us(), 5000999);
    ck_assert_int_eq(clock_ms(), 5000);
    ck_assert_int_eq(clock_wall_ms(), 0);
    clock_use(NULL);
    ck_assert_int_gt(clock_wall_ms(), 1600000000000);
}
END_TEST

START_TEST(the_monotonic_clock_never_goes_back)
{
    int64_t before = clock_us();

    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_us();

        ck_assert_int_ge(now, before);
        before = now;
    }
}
END_TEST

START_TEST(a_time_is_written_as_rfc_3339_has_it)
{
    static const struct { int64_t ms; const char *text; } table[] = {
        { 0,                "1970-01-01T00:00:00.000Z" },
        { 1772357400007,    "2026-03-01T09:30:00.007Z" },
        { 951782400999,     "2000-02-29T00:00:00.999Z" },
        { -1,               "1969-12-31T23:59:59.999Z" },
        { 253402300799999,  "9999-12-31T23:59:59.999Z" },
        { 253402300800000,  "1970-01-01T00:00:00.000Z" },   /* no year 10000 in it */
        { INT64_MAX,        "1970-01-01T00:00:00.000Z" },
        { INT64_MIN,        "1970-01-01T00:00:00.000Z" },
    };
    char out[CLOCK_RFC3339_SIZE];

    ck_assert_str_eq(clock_rfc3339(table[_i].ms, out), table[_i].text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tc = tcase_create("clock");

    tcase_add_test(tc, tests_may_put_their_own_clock_in_and_take_it_out);
    tcase_add_test(tc, the_monotonic_clock_never_goes_back);
    tcase_add_loop_test(tc, a_time_is_written_as_rfc_3339_has_it, 0, 8);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
