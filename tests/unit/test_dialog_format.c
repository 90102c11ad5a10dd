/* A dialog in each of its forms, and the names of files. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/handlers/attachment.h"
#include "lib/base/json.h"
#include "lib/chat/dialog_format.h"
#include "lib/chat/dialog_html.h"
#include "lib/chat/markdown.h"
#include "lib/chat/session_record.h"
#include "tests/unit/support.h"

static struct buf out;

static void setup(void)
{
    dialog_html_init();
    buf_init(&out, 1 << 20);
}

static void teardown(void)
{
    buf_close(&out);
}

static const struct session_record record = {
    .id = { "s", 1 }, .title = { "T", 1 }, .turns = 1, .created_at = 1, .updated_at = 1,
};

static struct dialog_facts facts_of(const char *title)
{
    return (struct dialog_facts){
        .title = title, .session_id = "s", .started_at = 1772357400000, .ended_at = 1772358720000,
        .turns = 2, .model = "gpt", .session = &record,
    };
}

static struct turn turn_of(const char *user, const char *bot)
{
    return (struct turn){
        .id = 1, .asked_at = 1772357400000, .answered_at = 1772357403210, .model = "gpt",
        .user = user, .user_len = strlen(user), .bot = bot, .bot_len = strlen(bot),
    };
}

static const char *written(const char *format, const char *user, const char *bot)
{
    const struct dialog_format *f = dialog_format_find(format);
    struct dialog_facts facts = facts_of("T");
    struct turn t = turn_of(user, bot);

    buf_clear(&out);
    ck_assert(f->begin(&out, &facts) && f->turn(&out, &t, 1) && f->turn(&out, &t, 2) &&
              f->end(&out));
    return out.data;
}

START_TEST(each_format_is_found_by_its_name)
{
    char names[] = DIALOG_FORMATS;

    for (char *name = strtok(names, ", "); name; name = strtok(NULL, ", "))
        ck_assert_str_eq(dialog_format_find(name)->name, name);
    ck_assert_ptr_null(dialog_format_find("pdf"));
    ck_assert_ptr_null(dialog_format_find(""));
}
END_TEST

START_TEST(a_text_is_laid_out_for_reading)
{
    ck_assert_str_eq(written("txt", "Where?\r\nWhen?", "*South*\x1b[31m"),
        "T\n\n"
        "When:    1 March 2026, 09:30 – 09:52 UTC\n"
        "Length:  2 turns, 22 minutes\n"
        "Model:   gpt\n"
        "Session: s\n\n"
        "------------------------------------------------------------------------\n"
        "User, #1, 1 March 2026, 09:30:00 UTC\n\nWhere?\nWhen?\n\n"
        "Assistant, gpt, 09:30:03 UTC\n\n*South*[31m\n\n"
        "------------------------------------------------------------------------\n"
        "User, #2, 1 March 2026, 09:30:00 UTC\n\nWhere?\nWhen?\n\n"
        "Assistant, gpt, 09:30:03 UTC\n\n*South*[31m\n\n"
        "------------------------------------------------------------------------\n");
}
END_TEST

/* What Markdown would act on, and how the file must hold it. */
START_TEST(what_the_user_wrote_shows_as_written)
{
    static const struct { const char *text, *line; } cases[] = {
        { "plain", "\n> plain\n" }, { "a\nb", "\n> a  \n> b\n" }, { "a\n\nb", "\n> a  \n>\n> b\n" },
        { "*x* _y_ `z`", "\n> \\*x\\* \\_y\\_ \\`z\\`\n" }, { "# no head", "\n> \\# no head\n" },
        { "- no item", "\n> \\- no item\n" }, { "12. no item", "\n> 12\\. no item\n" },
        { "3) no item", "\n> 3\\) no item\n" }, { "3.5 is no item", "\n> 3\\.5 is no item\n" },
        { "<b>&amp;", "\n> \\<b\\>\\&amp;\n" }, { "    no code", "\n> \u00a0\u00a0\u00a0\u00a0no code\n" },
        { "[a](b)", "\n> \\[a\\](b)\n" }, { "a | b", "\n> a \\| b\n" }, { "===", "\n> \\===\n" },
        { "```\ncode", "\n> \\`\\`\\`  \n> code\n" }, { "> q", "\n> \\> q\n" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *all = written("md", cases[i].text, "ok");

        ck_assert_msg(strstr(all, cases[i].line) != NULL, "%s: %s", cases[i].text, all);
    }
}
END_TEST

/* The second turn's heading must be a heading still, whatever the first answer held. */
START_TEST(no_answer_swallows_what_follows_it)
{
    static const char *const answers[] = {
        "```\ncode without an end", "~~~~ c\n```\nx", "````\n```\n", "<!-- a comment", "<script>",
        "  <div>\n<pre>", "<?php", "<![CDATA[", "| a |\n|---|\n| b |", "> quote", "- item\n  ```",
        "text\n```js\nx\n```\nmore", "a\n    ```\nb", "> ```\n> code", "- a\n\n  ~~~\n  b",
        "1. x\n   <!-- y", "> <!-- y", "a <!-- b", "[x]: <", "[x]:\n\"", "$$", "\\", "`", "**",
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const char *all = written("md", "q", answers[i]);
        struct buf html;

        buf_init(&html, 1 << 20);
        ck_assert(markdown_html(&html, all, strlen(all)));
        ck_assert_msg(strstr(html.data, "<strong>User</strong> · #2") != NULL, "%s:\n%s\n%s",
                      answers[i], all, html.data);
        buf_close(&html);
    }
}
END_TEST

START_TEST(addresses_and_finished_code_are_left_as_they_are)
{
    const char *all = written("md", "q", "<https://example.com>\n```c\n<b>\n```\n<a@b.example>");

    ck_assert_ptr_nonnull(strstr(all, "\n<https://example.com>\n```c\n<b>\n```\n<a@b.example>\n\n---"));
}
END_TEST

START_TEST(json_is_json_to_its_end_also_when_it_breaks)
{
    struct dialog_facts facts = facts_of("T");
    struct turn t = turn_of("a \"b\"\n", "\u2028 \x01 <");
    struct err e = ERR_NONE;
    json_t *whole;

    written("json", "a \"b\"\n", "\u2028 \x01 <");
    ck_assert_int_eq(json_parse(out.data, out.len, &whole, &e), ERR_OK);
    ck_assert_uint_eq(json_array_size(json_object_get(whole, "messages")), 4);
    ck_assert(json_is_true(json_object_get(whole, "complete")));
    json_decref(whole);
    buf_clear(&out);
    t.interrupted = true;
    ck_assert(dialog_json.begin(&out, &facts) && dialog_json.turn(&out, &t, 1) &&
              dialog_json.broken(&out, "why \"not\""));
    ck_assert_int_eq(json_parse(out.data, out.len, &whole, &e), ERR_OK);
    ck_assert(json_is_false(json_object_get(whole, "complete")));
    ck_assert_str_eq(json_str(whole, "problem"), "why \"not\"");
    ck_assert(json_is_true(json_object_get(json_array_get(json_object_get(whole, "messages"), 1),
                                           "interrupted")));
    json_decref(whole);
}
END_TEST

START_TEST(a_full_buffer_is_told)
{
    struct dialog_facts facts = facts_of("T");
    struct turn t = turn_of("question", "answer");
    const char *names[] = { "md", "html", "json", "txt" };

    for (size_t i = 0; i < 4; i++) {
        const struct dialog_format *f = dialog_format_find(names[i]);
        struct buf small;

        buf_init(&small, 10);
        ck_assert(!f->begin(&small, &facts));
        ck_assert(!f->turn(&small, &t, 1));
        ck_assert(!f->broken(&small, "x"));
        ck_assert(!f->end(&small));
        buf_close(&small);
    }
}
END_TEST

START_TEST(no_id_makes_a_file_name_that_acts)
{
    static const struct { const char *id, *named; } cases[] = {
        { "trip", "attachment; filename=\"trip.md\"; filename*=UTF-8''trip.md" },
        { "a/b\\c:d*e?f\"g<h>i|j",
          "attachment; filename=\"a-b-c-d-e-f-g-h-i-j.md\"; filename*=UTF-8''a_b_c_d_e_f_g_h_i_j.md" },
        { ".hidden", "attachment; filename=\"hidden.md\"; filename*=UTF-8''_hidden.md" },
        { "...", "attachment; filename=\"x.md\"; filename*=UTF-8''_...md" },
        { "\u202Eexe", "attachment; filename=\"exe.md\"; filename*=UTF-8''_exe.md" },
        { "a b%\xC3\xA9", "attachment; filename=\"a-b.md\"; filename*=UTF-8''a%20b%25%C3%A9.md" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        ck_assert(attachment_disposition(&out, cases[i].id, strlen(cases[i].id), "md"));
        ck_assert_str_eq(out.data, cases[i].named);
    }
}
END_TEST

START_TEST(a_long_id_is_cut_between_characters)
{
    char id[257] = "";

    for (int i = 0; i < 64; i++)
        strcat(id, "\U0001F642");
    ck_assert(attachment_disposition(&out, id, strlen(id), "txt"));
    ck_assert_ptr_nonnull(strstr(out.data, "UTF-8''%F0%9F%99%82"));
    ck_assert_uint_eq(strlen(strstr(out.data, "UTF-8''")), 7 + 45 * 12 + 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialog_format");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, each_format_is_found_by_its_name);
    tcase_add_test(t, a_text_is_laid_out_for_reading);
    tcase_add_test(t, what_the_user_wrote_shows_as_written);
    tcase_add_test(t, no_answer_swallows_what_follows_it);
    tcase_add_test(t, addresses_and_finished_code_are_left_as_they_are);
    tcase_add_test(t, json_is_json_to_its_end_also_when_it_breaks);
    tcase_add_test(t, a_full_buffer_is_told);
    tcase_add_test(t, no_id_makes_a_file_name_that_acts);
    tcase_add_test(t, a_long_id_is_cut_between_characters);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
