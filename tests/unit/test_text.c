/* Bytes and UTF-8. */
#include <check.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/text.h"
#include "tests/unit/support.h"

static struct buf out;

static void setup(void)
{
    buf_init(&out, 100000);
}

static void teardown(void)
{
    buf_close(&out);
}

/* Straight from RFC 3629: the longest prefix of whole characters. */
static const struct { const char *s; size_t valid; } utf8[] = {
    { "", 0 },
    { "plain", 5 },
    { "\xC3\xA9", 2 },                  /* e acute */
    { "\xE2\x82\xAC", 3 },              /* euro */
    { "\xF0\x9F\x90\xA6", 4 },          /* a bird */
    { "\xF4\x8F\xBF\xBF", 4 },          /* U+10FFFF, the last */
    { "\xED\x9F\xBF", 3 },              /* U+D7FF, before the surrogates */
    { "\xEE\x80\x80", 3 },              /* U+E000, behind them */
    { "\xE0\xA0\x80", 3 },              /* U+0800, the first of three bytes */
    { "\xF0\x90\x80\x80", 4 },          /* U+10000, the first of four */
    { "a\x80", 1 },                     /* a later byte without its first */
    { "a\xC3", 1 },                     /* cut */
    { "a\xE2\x82", 1 },
    { "a\xF0\x9F\x90", 1 },
    { "a\xC0\x80", 1 },                 /* overlong */
    { "a\xC1\xBF", 1 },
    { "a\xE0\x9F\xBF", 1 },
    { "a\xF0\x8F\xBF\xBF", 1 },
    { "a\xED\xA0\x80", 1 },             /* a surrogate */
    { "a\xED\xBF\xBF", 1 },
    { "a\xF4\x90\x80\x80", 1 },         /* above U+10FFFF */
    { "a\xF5\x80\x80\x80", 1 },
    { "a\xFF", 1 },
    { "\xC3\xC3\xA9", 0 },
    { "\xE2\x82\x28", 0 },
};
enum { UTF8_COUNT = sizeof(utf8) / sizeof(*utf8) };

START_TEST(only_utf8_is_utf8)
{
    size_t len = strlen(utf8[_i].s);

    ck_assert_uint_eq(text_utf8_prefix(utf8[_i].s, len), utf8[_i].valid);
    ck_assert_int_eq(text_is_utf8(utf8[_i].s, len), utf8[_i].valid == len);
}
END_TEST

START_TEST(no_byte_behind_the_length_counts)
{
    ck_assert_uint_eq(text_utf8_prefix("\xF0\x9F\x90\xA6", 3), 0);
    ck_assert_uint_eq(text_utf8_prefix("\xC3\xA9", 1), 0);
    ck_assert(!text_has_control("a\n", 1));
    ck_assert(!text_has_control("\xC2\x80", 1));
    ck_assert(!text_percent_decode("%41", 2, &out));
}
END_TEST

START_TEST(control_characters_are_found_and_nothing_else)
{
    static const struct { const char *s; bool has; } table[] = {
        { "plain text", false }, { "", false }, { "a\nb", true }, { "a\tb", true },
        { "\x1F", true }, { " ", false }, { "\x7F", true }, { "\xC2\x80", true },
        { "\xC2\x9F", true }, { "\xC2\xA0", false }, { "\xE2\x82\x80", false },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        ck_assert_msg(text_has_control(table[i].s, strlen(table[i].s)) == table[i].has,
                      "row %zu", i);
    ck_assert(text_has_control("a\0b", 3));
}
END_TEST

START_TEST(percent_signs_are_undone_and_a_plus_stays)
{
    ck_assert(text_percent_decode("a%20b+c%C3%a9%2F", 16, &out));
    ck_assert_str_eq(out.data, "a b+c\xC3\xA9/");
    buf_clear(&out);
    ck_assert(text_percent_decode("%00", 3, &out));
    ck_assert_uint_eq(out.len, 1);
}
END_TEST

START_TEST(a_broken_percent_sign_is_refused)
{
    static const char *const table[] = { "%", "%4", "%zz", "%4g", "%g4", "a%", "%%41", "% 1" };

    ck_assert(!text_percent_decode(table[_i], strlen(table[_i]), &out));
}
END_TEST

START_TEST(every_byte_survives_percent_encoding)
{
    struct buf again;
    char all[256];

    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    buf_init(&again, 1000);
    ck_assert(text_percent_encode(all, sizeof(all), &out));
    ck_assert(text_percent_decode(out.data, out.len, &again));
    ck_assert_uint_eq(again.len, sizeof(all));
    ck_assert_mem_eq(again.data, all, sizeof(all));
    buf_close(&again);
    buf_clear(&out);
    text_percent_encode("a-._~Z9 /\xC3", 10, &out);
    ck_assert_str_eq(out.data, "a-._~Z9%20%2F%C3");
}
END_TEST

START_TEST(a_json_string_escapes_what_it_must_and_nothing_else)
{
    ck_assert(text_json_string(&out, "a\"b\\c\n\r\t\x01\x1F/\x7F\xC3\xA9", 14));
    ck_assert_str_eq(out.data, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f/\x7F\xC3\xA9\"");
    buf_clear(&out);
    ck_assert(text_json_string(&out, "a\0b", 3));
    ck_assert_str_eq(out.data, "\"a\\u0000b\"");
    buf_clear(&out);
    ck_assert(text_json_string(&out, "", 0));
    ck_assert_str_eq(out.data, "\"\"");
}
END_TEST

/* Eight bytes are looked at together: each kind of byte at each place among plain ones. */
START_TEST(a_byte_is_plain_wherever_it_stands) /* loop: the byte */
{
    bool plain = _i >= 0x20 && _i != '"' && _i != '\\';

    for (size_t at = 0; at < 24; at++) {
        char text[24];

        memset(text, at % 2 ? '!' : '\xFF', sizeof text);
        text[at] = (char)_i;
        ck_assert_uint_eq(text_json_plain(text, sizeof text), plain ? sizeof text : at);
        memset(text, 'a', sizeof text);
        text[at] = (char)_i;
        ck_assert_uint_eq(text_ascii_prefix(text, sizeof text), _i < 0x80 ? sizeof text : at);
    }
}
END_TEST

START_TEST(a_number_is_its_digits)
{
    static const int64_t numbers[] = { 0, 7, -1, 10, 1795246868478661, INT64_MAX, INT64_MIN };
    char ours[TEXT_DECIMAL_SIZE], theirs[32];

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int len = snprintf(theirs, sizeof theirs, "%" PRId64, numbers[i]);

        ck_assert_uint_eq(text_decimal(ours, numbers[i]), (size_t)len);
        ck_assert_str_eq(ours, theirs);
    }
}
END_TEST

START_TEST(what_does_not_fit_is_said)
{
    buf_close(&out);
    buf_init(&out, 4);
    ck_assert(!text_json_string(&out, "abc", 3));
    ck_assert(!buf_ok(&out));
}
END_TEST

START_TEST(html_cannot_be_left)
{
    ck_assert(text_html(&out, "<a href='x' b=\"y\">&", 20));
    ck_assert_str_eq(out.data, "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;");
}
END_TEST

START_TEST(a_slug_is_fit_for_a_file_name)
{
    static const struct { const char *s; size_t size; const char *slug; } table[] = {
        { "Trip to Rome", 50, "trip-to-rome" },
        { "--a..//b__", 50, "a-b" },
        { "../../etc/passwd", 50, "etc-passwd" },
        { "\xD0\xB9\xD0\xB9", 50, "x" },
        { "", 2, "x" },
        { "abcdef", 4, "abc" },
        { "ab cdef", 4, "ab" },     /* no dash at the end */
        { "a b", 2, "a" },
    };
    char slug[50];

    memset(slug, '!', sizeof(slug));
    text_slug(table[_i].s, strlen(table[_i].s), slug, table[_i].size);
    ck_assert_str_eq(slug, table[_i].slug);
    for (size_t i = table[_i].size; i < sizeof(slug); i++)
        ck_assert_int_eq(slug[i], '!');
}
END_TEST

START_TEST(random_digits_are_as_many_as_asked_and_differ)
{
    char a[2 * 300 + 1], b[2 * 300 + 1];

    text_random_hex(a, 300);
    text_random_hex(b, 300);
    ck_assert_uint_eq(strlen(a), 600);
    ck_assert_uint_eq(strspn(a, "0123456789abcdef"), 600);
    ck_assert_str_ne(a, b);
    text_random_hex(a, 0);
    ck_assert_str_eq(a, "");
}
END_TEST

START_TEST(a_digest_tells_the_parts_apart)
{
    char one[65], other[65];

    text_sha256_hex(one, (struct text_part[]){ { "ab", 2 }, { "c", 1 } }, 2);
    text_sha256_hex(other, (struct text_part[]){ { "a", 1 }, { "bc", 2 } }, 2);
    ck_assert_uint_eq(strlen(one), 64);
    ck_assert_str_ne(one, other);
    text_sha256_hex(other, (struct text_part[]){ { "ab", 2 }, { "c", 1 } }, 2);
    ck_assert_str_eq(one, other);
    /* printf '\0\0\0\0\0\0\0\3abc' | sha256sum: stored digests depend on it. */
    text_sha256_hex(one, &(struct text_part){ "abc", 3 }, 1);
    ck_assert_str_eq(one, "c3494ca1a2cf8eeb8a11ded316fb55b83c3bbbedb6313cd50415251e5d09e12f");
}
END_TEST

START_TEST(secrets_are_equal_only_when_every_byte_is)
{
    ck_assert(text_equal_secret("secret", 6, "secret", 6));
    ck_assert(text_equal_secret("", 0, "", 0));
    ck_assert(!text_equal_secret("secret", 6, "secreT", 6));
    ck_assert(!text_equal_secret("secret", 6, "secret", 5));
    ck_assert(!text_equal_secret("secret", 6, "", 0));
    ck_assert(!text_equal_secret("a\0b", 3, "a\0c", 3));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tc = tcase_create("text");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, only_utf8_is_utf8, 0, UTF8_COUNT);
    tcase_add_test(tc, no_byte_behind_the_length_counts);
    tcase_add_test(tc, control_characters_are_found_and_nothing_else);
    tcase_add_test(tc, percent_signs_are_undone_and_a_plus_stays);
    tcase_add_loop_test(tc, a_broken_percent_sign_is_refused, 0, 8);
    tcase_add_test(tc, every_byte_survives_percent_encoding);
    tcase_add_test(tc, a_json_string_escapes_what_it_must_and_nothing_else);
    tcase_add_loop_test(tc, a_byte_is_plain_wherever_it_stands, 0, 256);
    tcase_add_test(tc, a_number_is_its_digits);
    tcase_add_test(tc, what_does_not_fit_is_said);
    tcase_add_test(tc, html_cannot_be_left);
    tcase_add_loop_test(tc, a_slug_is_fit_for_a_file_name, 0, 8);
    tcase_add_test(tc, random_digits_are_as_many_as_asked_and_differ);
    tcase_add_test(tc, a_digest_tells_the_parts_apart);
    tcase_add_test(tc, secrets_are_equal_only_when_every_byte_is);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
