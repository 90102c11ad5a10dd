/* The system messages in prompts/. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/chat/prompt.h"
#include "tests/unit/support.h"

static const char     *dir;
static struct prompts *prompts;
static struct err      e;

static void put(const char *file, const char *text, size_t len)
{
    char  path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    fclose(f);
}

static void setup(void)
{
    e = ERR_NONE;
    prompts = NULL;
    dir = support_dir();
    put("default.md", "Be kind.\n", 9);
}

static void teardown(void)
{
    prompts_free(prompts);
}

static void load(void)
{
    ck_assert_msg(prompts_load(dir, &prompts, &e) == ERR_OK, "%s", e.detail);
}

static void refused(const char *why)
{
    ck_assert_int_eq(prompts_load(dir, &prompts, &e), ERR_INVALID);
    ck_assert_ptr_null(prompts);
    ck_assert_msg(strstr(e.detail, why) != NULL, "%s", e.detail);
}

START_TEST(a_prompt_is_its_file_without_the_last_newlines)
{
    put("poet.md", "\xEF\xBB\xBFRhyme.\n\nAlways.\r\n\n", 21);
    load();
    ck_assert_str_eq(prompts_get(prompts, "poet"), "Rhyme.\n\nAlways.");
}
END_TEST

START_TEST(no_name_means_default)
{
    load();
    ck_assert_str_eq(prompts_get(prompts, ""), "Be kind.");
    ck_assert_str_eq(prompts_get(prompts, "default"), "Be kind.");
}
END_TEST

START_TEST(an_unknown_name_is_no_prompt)
{
    load();
    ck_assert_ptr_null(prompts_get(prompts, "poet"));
    ck_assert_ptr_null(prompts_get(prompts, "../default"));
    ck_assert_ptr_null(prompts_get(prompts, "default.md"));
}
END_TEST

START_TEST(names_are_listed_in_order_and_other_files_are_left_alone)
{
    put("tutor.md", "Teach.", 6);
    put("poet.md", "Rhyme.", 6);
    put("notes.txt", "\0", 1);
    put(".hidden.md", "", 0);
    put(".md", "", 0);
    load();
    ck_assert_str_eq(prompts_names(prompts), "default, poet, tutor");
}
END_TEST

START_TEST(a_prompt_of_64_kib_is_taken_and_a_larger_one_is_refused_by_name)
{
    size_t len = 64 * 1024;
    char  *text = malloc(len + 1);

    memset(text, 'x', len + 1);
    put("long.md", text, len);
    load();
    ck_assert_uint_eq(strlen(prompts_get(prompts, "long")), len);
    prompts_free(prompts);
    put("long.md", text, len + 1);
    free(text);
    refused("long.md: larger");
}
END_TEST

static const struct { const char *text; size_t len; const char *why; } faults[] = {
    { "", 0, "bad.md: empty" },
    { " \r\n\t\n", 5, "bad.md: empty" },
    { "\xEF\xBB\xBF\n", 4, "bad.md: empty" },
    { "caf\xE9", 4, "bad.md: not a text" },
    { "a\0b", 3, "bad.md: not a text" },
    { "a\0", 2, "bad.md: not a text" },
};

START_TEST(a_file_that_is_no_text_is_refused_by_name)
{
    put("bad.md", faults[_i].text, faults[_i].len);
    refused(faults[_i].why);
}
END_TEST

START_TEST(without_default_there_are_no_prompts)
{
    char path[512];

    put("poet.md", "Rhyme.", 6);
    snprintf(path, sizeof(path), "%s/default.md", dir);
    remove(path);
    refused("default.md: missing");
    dir = "/nowhere/at/all";
    refused("/nowhere/at/all");
}
END_TEST

START_TEST(a_folder_with_a_prompts_name_is_refused)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/bad.md", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    refused("bad.md: Is a directory");
}
END_TEST

START_TEST(settings_at_the_beginning_are_no_part_of_the_text)
{
    const char text[] = "---\r\n# for school\nmodel:  big one \n\ntemperature: 0.5\n"
                        "token_limit: 77\ncontext_tokens: 0\n---\n\nTeach.\n---\nWell.\n";
    const struct prompt *p;

    put("tutor.md", text, sizeof(text) - 1);
    load();
    p = prompts_find(prompts, "tutor");
    ck_assert_ptr_nonnull(p);
    ck_assert_str_eq(p->text, "Teach.\n---\nWell.");
    ck_assert_str_eq(p->options.model, "big one");
    ck_assert_double_eq(p->options.temperature, 0.5);
    ck_assert_int_eq(p->options.token_limit, 77);
    ck_assert_int_eq(p->context_tokens, 0);
}
END_TEST

START_TEST(what_a_prompt_does_not_set_is_left_to_the_settings)
{
    const struct prompt *p;

    put("dashes.md", "--- is a dash", 13);
    put("none.md", "---\n---\nHi", 10);
    load();
    for (int i = 0; i < 3; i++) {
        p = prompts_find(prompts, (const char *[]){ "", "dashes", "none" }[i]);
        ck_assert_ptr_null(p->options.model);
        ck_assert(p->options.temperature < 0);
        ck_assert_int_eq(p->options.token_limit, 0);
        ck_assert_int_eq(p->context_tokens, -1);
    }
    ck_assert_str_eq(prompts_get(prompts, "dashes"), "--- is a dash");
    ck_assert_str_eq(prompts_get(prompts, "none"), "Hi");
}
END_TEST

static const struct { const char *text, *why; } wrong[] = {
    { "---\ntemperature: hot\n---\nHi", "bad.md:2: temperature has to be a number" },
    { "---\n\ntemperature: 2.5\n---\nHi", "bad.md:3: temperature has to be between 0 and 2" },
    { "---\ntoken_limit: 0\n---\nHi", "bad.md:2: token_limit has to be between" },
    { "---\ntokens: 5\n---\nHi", "bad.md:2: tokens is not a setting of a prompt" },
    { "---\nmodel: a\nmodel: b\n---\nHi", "bad.md:3: model is given twice" },
    { "---\nmodel:\n---\nHi", "bad.md:2: model has no value" },
    { "---\nBe kind.\n---\nHi", "bad.md:2: is not \"name: value\"" },
    { "---\nmodel: a\nHi: there\n", "bad.md:3: Hi is not a setting" },
    { "---\nmodel: a\n", "bad.md:1: the settings begin here" },
    { "---\nmodel: a\n---\n \n", "bad.md: empty" },
    { "---\nmodel: a\n---", "bad.md: empty" },
};

START_TEST(a_wrong_setting_is_refused_by_file_line_and_name)
{
    put("bad.md", wrong[_i].text, strlen(wrong[_i].text));
    refused(wrong[_i].why);
}
END_TEST

START_TEST(the_prompts_that_are_installed_can_be_read)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/prompts", getenv("CONFAB_SRCDIR"));
    dir = path;
    load();
    ck_assert_str_eq(prompts_names(prompts), "default, tutor");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prompt");
    TCase *t = tcase_create("prompt");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_prompt_is_its_file_without_the_last_newlines);
    tcase_add_test(t, no_name_means_default);
    tcase_add_test(t, an_unknown_name_is_no_prompt);
    tcase_add_test(t, names_are_listed_in_order_and_other_files_are_left_alone);
    tcase_add_test(t, a_prompt_of_64_kib_is_taken_and_a_larger_one_is_refused_by_name);
    tcase_add_loop_test(t, a_file_that_is_no_text_is_refused_by_name, 0,
                        sizeof(faults) / sizeof(*faults));
    tcase_add_test(t, without_default_there_are_no_prompts);
    tcase_add_test(t, a_folder_with_a_prompts_name_is_refused);
    tcase_add_test(t, settings_at_the_beginning_are_no_part_of_the_text);
    tcase_add_test(t, what_a_prompt_does_not_set_is_left_to_the_settings);
    tcase_add_loop_test(t, a_wrong_setting_is_refused_by_file_line_and_name, 0,
                        sizeof(wrong) / sizeof(*wrong));
    tcase_add_test(t, the_prompts_that_are_installed_can_be_read);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
