/* Strict JSON. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "tests/unit/support.h"

static json_t *tree;
static struct err e;
static struct json_text text;

static void setup(void)
{
    e = ERR_NONE;
}

static void teardown(void)
{
    json_decref(tree);
    tree = NULL;
}

static enum err_code parse(const char *s)
{
    json_decref(tree);
    return json_parse(s, strlen(s), &tree, &e);
}

START_TEST(json_is_read)
{
    static const char *const table[] = {
        "{}", "[]", "1", "\"x\"", "null", " { \"a\" : [1, 2.5, true, null] } ",
        "{\"a\":{\"a\":1}}", "\"\\ud83d\\udc26\"", "\"\\u0000\"",
    };

    ck_assert_int_eq(parse(table[_i]), ERR_OK);
    ck_assert_ptr_nonnull(tree);
}
END_TEST

START_TEST(what_is_not_json_is_refused)
{
    static const char *const table[] = {
        "", " ", "{", "nope", "{\"a\":1,}", "{'a':1}", "{\"a\":1} x", "{}{}", "\xEF\xBB\xBF{}",
        "{\"a\":1,\"a\":2}",                    /* twice the same name */
        "{\"a\":1,\"\\u0061\":2}",              /* also when it is written differently */
        "\"\xC3\"", "\"\xED\xA0\x80\"", "\"a\nb\"", "NaN", "01", "1e999", "\"\\u12\"", "\"\\", "\"\\u",
        "\"\\ud83d\\u", "{\"\\ud800\":1}",
    };

    ck_assert_int_eq(parse(table[_i]), ERR_BAD_JSON);
    ck_assert_ptr_null(tree);
    ck_assert_str_ne(e.detail, "");
}
END_TEST

START_TEST(a_nul_byte_in_the_text_is_refused)
{
    ck_assert_int_eq(json_parse("{}\0", 3, &tree, &e), ERR_BAD_JSON);
    ck_assert_int_eq(json_parse("\"\0\"", 3, &tree, &e), ERR_BAD_JSON);
}
END_TEST

START_TEST(the_fault_is_located_and_no_word_of_the_text_is_quoted)
{
    parse("{\"user_text\": \"my secret\",\n  secret }");
    ck_assert_ptr_nonnull(strstr(e.detail, "line 2"));
    ck_assert_ptr_null(strstr(e.detail, "secret"));
    parse("{\"secret\":1,\"secret\":2}");
    ck_assert_ptr_null(strstr(e.detail, "secret"));
}
END_TEST

static char *nested(int depth)
{
    char *s = calloc(1, (size_t)depth * 2 + 1);

    memset(s, '[', (size_t)depth);
    memset(s + depth, ']', (size_t)depth);
    return s;
}

START_TEST(nesting_is_bounded)
{
    char *deep = nested(64), *deeper = nested(65), *abyss = nested(500000);

    ck_assert_int_eq(parse(deep), ERR_OK);
    ck_assert_int_eq(parse(deeper), ERR_BAD_JSON);
    ck_assert_int_eq(parse(abyss), ERR_BAD_JSON);
    free(deep);
    free(deeper);
    free(abyss);
    /* Brackets inside a string are text. */
    ck_assert_int_eq(parse("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                           "\\\"[[[[[[[[[[[[[[[[[[[[\""), ERR_OK);
}
END_TEST

START_TEST(a_text_field_is_borrowed_from_the_tree_with_its_length)
{
    parse("{\"a\":\"h\\u00e9\"}");
    ck_assert_int_eq(json_get_text(tree, "a", 1, 3, &text, &e), ERR_OK);
    ck_assert_uint_eq(text.len, 3);
    ck_assert_str_eq(text.s, "h\xC3\xA9");
}
END_TEST

START_TEST(a_wrong_text_field_is_named)
{
    static const struct { const char *json, *detail; } table[] = {
        { "{}",                     "a: is missing" },
        { "{\"a\":null}",           "a: has to be a string" },
        { "{\"a\":7}",              "a: has to be a string" },
        { "{\"a\":[\"x\"]}",        "a: has to be a string" },
        { "{\"a\":\"\"}",           "a: is empty" },
        { "{\"a\":\"x\"}",          "a: is shorter than 2 bytes" },
        { "{\"a\":\"\xC3\xA9\xC3\xA9\xC3\xA9\"}", "a: is longer than 5 bytes" },
        { "{\"a\":\"x\\u0000y\"}",  "a: holds U+0000 or a lone surrogate" },
        { "{\"a\":\"x\\ud800y\"}",  "a: holds U+0000 or a lone surrogate" },
        { "{\"a\":\"\\uDFFFy\"}",   "a: holds U+0000 or a lone surrogate" },
        { "{\"a\":\"\\ud83d\\ud83d\"}", "a: holds U+0000 or a lone surrogate" },
    };

    ck_assert_int_eq(parse(table[_i].json), ERR_OK);
    ck_assert_int_eq(json_get_text(tree, "a", 2, 5, &text, &e), ERR_INVALID);
    ck_assert_str_eq(e.detail, table[_i].detail);
    ck_assert_str_eq(e.field, "a");
    ck_assert_ptr_null(text.s);
}
END_TEST

START_TEST(a_pair_of_surrogates_is_a_character_and_an_escaped_backslash_is_none)
{
    parse("{\"a\":\"\\ud83d\\udc26\",\"b\":\"\\\\ud800\"}");
    ck_assert_int_eq(json_get_text(tree, "a", 1, 9, &text, &e), ERR_OK);
    ck_assert_str_eq(text.s, "\xF0\x9F\x90\xA6");
    ck_assert_int_eq(json_get_text(tree, "b", 1, 9, &text, &e), ERR_OK);
    ck_assert_str_eq(text.s, "\\ud800");
}
END_TEST

START_TEST(an_optional_text_may_be_absent_or_null_but_not_wrong)
{
    parse("{\"n\":null,\"i\":1,\"s\":\"x\"}");
    ck_assert_int_eq(json_get_text_opt(tree, "none", 1, 9, &text, &e), ERR_OK);
    ck_assert_ptr_null(text.s);
    ck_assert_int_eq(json_get_text_opt(tree, "n", 1, 9, &text, &e), ERR_OK);
    ck_assert_ptr_null(text.s);
    ck_assert_int_eq(json_get_text_opt(tree, "s", 1, 9, &text, &e), ERR_OK);
    ck_assert_str_eq(text.s, "x");
    ck_assert_int_eq(json_get_text_opt(tree, "i", 1, 9, &text, &e), ERR_INVALID);
}
END_TEST

START_TEST(an_optional_bool_leaves_what_it_does_not_find)
{
    bool b = true;

    parse("{\"f\":false,\"n\":null,\"s\":\"true\"}");
    ck_assert_int_eq(json_get_bool_opt(tree, "none", &b, &e), ERR_OK);
    ck_assert_int_eq(json_get_bool_opt(tree, "n", &b, &e), ERR_OK);
    ck_assert(b);
    ck_assert_int_eq(json_get_bool_opt(tree, "s", &b, &e), ERR_INVALID);
    ck_assert(b);
    ck_assert_int_eq(json_get_bool_opt(tree, "f", &b, &e), ERR_OK);
    ck_assert(!b);
}
END_TEST

START_TEST(a_body_that_is_no_object_has_no_fields)
{
    bool b;

    parse("[\"a\"]");
    ck_assert_int_eq(json_get_text(tree, "a", 1, 9, &text, &e), ERR_INVALID);
    ck_assert_int_eq(json_get_text_opt(tree, "a", 1, 9, &text, &e), ERR_INVALID);
    ck_assert_int_eq(json_get_bool_opt(tree, "a", &b, &e), ERR_INVALID);
    ck_assert_ptr_null(json_str(tree, "a"));
    ck_assert_int_eq(json_int(NULL, "a", 5), 5);
}
END_TEST

START_TEST(the_lenient_readers_take_what_fits)
{
    parse("{\"s\":\"x\",\"z\":\"x\\u0000y\",\"i\":-3,\"r\":1.5}");
    ck_assert_str_eq(json_str(tree, "s"), "x");
    ck_assert_ptr_null(json_str(tree, "i"));
    ck_assert_ptr_null(json_str(tree, "z"));
    ck_assert_int_eq(json_int(tree, "i", 9), -3);
    ck_assert_int_eq(json_int(tree, "r", 9), 9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tc = tcase_create("json");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, json_is_read, 0, 9);
    tcase_add_loop_test(tc, what_is_not_json_is_refused, 0, 22);
    tcase_add_test(tc, a_nul_byte_in_the_text_is_refused);
    tcase_add_test(tc, the_fault_is_located_and_no_word_of_the_text_is_quoted);
    tcase_add_test(tc, nesting_is_bounded);
    tcase_add_test(tc, a_text_field_is_borrowed_from_the_tree_with_its_length);
    tcase_add_loop_test(tc, a_wrong_text_field_is_named, 0, 11);
    tcase_add_test(tc, a_pair_of_surrogates_is_a_character_and_an_escaped_backslash_is_none);
    tcase_add_test(tc, an_optional_text_may_be_absent_or_null_but_not_wrong);
    tcase_add_test(tc, an_optional_bool_leaves_what_it_does_not_find);
    tcase_add_test(tc, a_body_that_is_no_object_has_no_fields);
    tcase_add_test(tc, the_lenient_readers_take_what_fits);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
