/* The growing buffer with a hard maximum. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "tests/unit/support.h"

static struct buf b;

static void teardown(void)
{
    buf_close(&b);
}

START_TEST(a_new_one_reads_as_the_empty_string_and_holds_no_memory)
{
    buf_init(&b, 10);
    ck_assert_str_eq(b.data, "");
    ck_assert_uint_eq(b.cap, 0);
    buf_clear(&b);
    buf_trim(&b);
    buf_consume(&b, 0);
    ck_assert(buf_adds(&b, ""));
    ck_assert_uint_eq(b.cap, 0);
}
END_TEST

START_TEST(what_is_added_is_there_and_ends_in_a_nul)
{
    buf_init(&b, 100);
    ck_assert(buf_adds(&b, "one"));
    ck_assert(buf_addc(&b, ','));
    ck_assert(buf_add(&b, "a\0b", 3));
    ck_assert(buf_addf(&b, ",%d", 42));
    ck_assert_uint_eq(b.len, 10);
    ck_assert_mem_eq(b.data, "one,a\0b,42", 11);
}
END_TEST

START_TEST(it_takes_its_maximum_and_not_one_byte_more) /* loop: the maximum */
{
    buf_init(&b, (size_t)_i);
    for (int i = 0; i < _i; i++)
        ck_assert(buf_addc(&b, 'x'));
    ck_assert_uint_eq(b.len, _i);
    ck_assert_uint_le(b.cap, (size_t)_i + 1);
    ck_assert(!buf_addc(&b, 'y'));
    ck_assert(!buf_ok(&b));
    ck_assert_uint_eq(b.len, _i);
    ck_assert_uint_eq(strlen(b.data), _i);
}
END_TEST

START_TEST(after_one_addition_failed_all_later_ones_are_dropped)
{
    buf_init(&b, 4);
    buf_adds(&b, "ab");
    ck_assert(!buf_adds(&b, "too long"));
    ck_assert(!buf_adds(&b, "c"));
    ck_assert(!buf_adds(&b, ""));
    ck_assert(!buf_addf(&b, "%d", 1));
    ck_assert_ptr_null(buf_reserve(&b, 1));
    ck_assert_str_eq(b.data, "ab");
    buf_clear(&b);
    ck_assert(buf_adds(&b, "abcd"));
}
END_TEST

START_TEST(no_sum_of_lengths_overflows)
{
    buf_init(&b, SIZE_MAX);
    buf_adds(&b, "abc");
    ck_assert_ptr_null(buf_reserve(&b, SIZE_MAX));
    ck_assert_str_eq(b.data, "abc");
}
END_TEST

START_TEST(room_that_was_reserved_can_be_filled)
{
    char *room;

    buf_init(&b, 1000);
    buf_adds(&b, "abc");
    room = buf_reserve(&b, 900);
    memset(room, 'x', 900);
    buf_grew(&b, 2);
    ck_assert_str_eq(b.data, "abcxx");
}
END_TEST

START_TEST(what_is_consumed_goes_from_the_front)
{
    buf_init(&b, 100);
    buf_adds(&b, "hello world");
    buf_consume(&b, 6);
    ck_assert_str_eq(b.data, "world");
    buf_consume(&b, 5);
    ck_assert_str_eq(b.data, "");
    ck_assert(buf_adds(&b, "again"));
    ck_assert_str_eq(b.data, "again");
}
END_TEST

START_TEST(trimming_gives_back_what_is_not_used)
{
    buf_init(&b, 10000);
    for (int i = 0; i < 1000; i++)
        buf_adds(&b, "123456789");
    buf_consume(&b, 8990);
    buf_trim(&b);
    ck_assert_uint_eq(b.cap, 11);
    ck_assert_str_eq(b.data, "9123456789");
    buf_clear(&b);
    buf_trim(&b);
    ck_assert_uint_eq(b.cap, 0);
    ck_assert_str_eq(b.data, "");
}
END_TEST

START_TEST(stolen_bytes_are_the_callers_and_the_buffer_goes_on)
{
    size_t len;
    char *bytes;

    buf_init(&b, 5);
    buf_adds(&b, "abc");
    bytes = buf_steal(&b, &len);
    ck_assert_str_eq(bytes, "abc");
    ck_assert_uint_eq(len, 3);
    ck_assert_uint_eq(b.len, 0);
    ck_assert(buf_adds(&b, "12345"));
    ck_assert_str_eq(bytes, "abc");
    free(bytes);
}
END_TEST

START_TEST(stealing_nothing_gives_an_empty_string_and_stealing_a_failed_build_gives_null)
{
    size_t len;
    char *bytes;

    buf_init(&b, 2);
    bytes = buf_steal(&b, NULL);
    ck_assert_str_eq(bytes, "");
    free(bytes);
    buf_adds(&b, "a");
    buf_adds(&b, "bcd");
    ck_assert_ptr_null(buf_steal(&b, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert(buf_adds(&b, "ok"));
}
END_TEST

START_TEST(closing_is_safe_twice_and_on_a_zeroed_one)
{
    struct buf zeroed = { 0 };

    buf_close(&zeroed);
    buf_close(&zeroed);
    buf_init(&b, 10);
    buf_adds(&b, "x");
    buf_close(&b);
    ck_assert_str_eq(b.data, "");
    ck_assert(!buf_adds(&b, "x"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tc = tcase_create("buf");

    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, a_new_one_reads_as_the_empty_string_and_holds_no_memory);
    tcase_add_test(tc, what_is_added_is_there_and_ends_in_a_nul);
    tcase_add_loop_test(tc, it_takes_its_maximum_and_not_one_byte_more, 0, 300);
    tcase_add_test(tc, after_one_addition_failed_all_later_ones_are_dropped);
    tcase_add_test(tc, no_sum_of_lengths_overflows);
    tcase_add_test(tc, room_that_was_reserved_can_be_filled);
    tcase_add_test(tc, what_is_consumed_goes_from_the_front);
    tcase_add_test(tc, trimming_gives_back_what_is_not_used);
    tcase_add_test(tc, stolen_bytes_are_the_callers_and_the_buffer_goes_on);
    tcase_add_test(tc, stealing_nothing_gives_an_empty_string_and_stealing_a_failed_build_gives_null);
    tcase_add_test(tc, closing_is_safe_twice_and_on_a_zeroed_one);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
