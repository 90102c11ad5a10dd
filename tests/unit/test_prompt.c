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
    suite_add_tcase(suite, t);
    return support_run(suite);
}
