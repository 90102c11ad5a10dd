/* A dialog as a page: what it shows, and what hostile text cannot do to it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/dialog_html.h"
#include "lib/base/clock.h"
#include "tests/unit/support.h"

static struct buf page;

static void setup(void)
{
    dialog_html_init();
    buf_init(&page, 256 << 20);
}

static void teardown(void)
{
    buf_close(&page);
}

static struct turn a_turn(const char *user, const char *bot)
{
    return (struct turn){
        .id = 1, .asked_at = 1772357400000, .answered_at = 1772357403210,
        .user = user, .user_len = strlen(user), .bot = bot, .bot_len = strlen(bot),
        .model = "gpt-4o-mini",
    };
}

static const char *answered(const char *bot)
{
    struct turn t = a_turn("hi", bot);

    buf_clear(&page);
    ck_assert(dialog_html_turn(&page, &t, 1));
    return page.data;
}

static const char *asked(const char *user)
{
    struct turn t = a_turn(user, "ok");

    buf_clear(&page);
    ck_assert(dialog_html_turn(&page, &t, 1));
    return page.data;
}

static void shows(const char *html, const char *what)
{
    ck_assert_msg(strstr(html, what) != NULL, "%s\nis not in\n%s", what, html);
}

static void hides(const char *html, const char *what)
{
    ck_assert_msg(strstr(html, what) == NULL, "%s\nis in\n%s", what, html);
}

START_TEST(the_page_says_when_how_long_and_who)
{
    struct dialog_facts f = {
        .title = "R&D <plan>", .session_id = "s-1", .started_at = 1772357400000,
        .ended_at = 1772357400000 + 22 * 60000, .turns = 3, .model = "gpt-4o-mini",
    };

    ck_assert(dialog_html_begin(&page, &f));
    ck_assert(dialog_html_end(&page));
    shows(page.data, "<title>R&amp;D &lt;plan&gt;</title>");
    shows(page.data, "R&amp;D &lt;plan&gt;</h1>");
    shows(page.data, "1 March 2026, 09:30 \u2013 09:52 UTC");
    shows(page.data, "3 turns, 22 minutes");
    shows(page.data, "gpt-4o-mini");
    shows(page.data, ">s-1</td>");
    ck_assert_str_eq(page.data + page.len - 8, "</html>\n");
}
END_TEST

START_TEST(facts_that_are_not_known_are_left_out)
{
    struct dialog_facts f = { .title = "s-1", .session_id = "s-1", .turns = 1, .model = "" };

    ck_assert(dialog_html_begin(&page, &f));
    hides(page.data, ">When<");
    hides(page.data, ">Model<");
    hides(page.data, ">Session<");
    shows(page.data, "1 turn</td>");
}
END_TEST

static const struct { int64_t lasted; const char *words; } durations[] = {
    { 30000, "less than a minute" }, { 60000, "1 minute<" }, { 3600000, "1 hour<" },
    { 5400000, "1 hour 30 minutes<" }, { 86400000LL * 3 + 7200000, "3 days 2 hours<" },
};

START_TEST(a_length_is_said_as_people_say_it)
{
    struct dialog_facts f = {
        .title = "t", .session_id = "t", .started_at = 1772357400000, .turns = 2, .model = "",
        .ended_at = 1772357400000 + durations[_i].lasted,
    };

    ck_assert(dialog_html_begin(&page, &f));
    shows(page.data, durations[_i].words);
}
END_TEST

START_TEST(a_turn_names_speakers_and_times)
{
    const char *html = answered("yes");

    shows(html, "User");
    shows(html, "#1 \u00b7 <time datetime=\"2026-03-01T09:30:00.000Z\">1 March 2026, 09:30:00 UTC");
    shows(html, "Assistant");
    shows(html, "gpt-4o-mini \u00b7 <time datetime=\"2026-03-01T09:30:03.210Z\">09:30:03 UTC");
}
END_TEST

START_TEST(what_the_user_wrote_is_shown_as_written)
{
    const char *html = asked("# no *heading*\n  two  spaces\n\n<b>&amp;</b>\r\n\tx\x01y");

    shows(html, "# no *heading*<br>");
    shows(html, "&nbsp; two&nbsp; spaces</p>");
    shows(html, "&lt;b&gt;&amp;amp;&lt;/b&gt;<br>");
    shows(html, "&nbsp;&nbsp;&nbsp; xy");
    hides(html, "<b>");
}
END_TEST

static const struct { const char *markdown, *html; } rendered[] = {
    { "**a** *b* ~~c~~ `d`", "<strong>a</strong> <em>b</em> <s style=" },
    { "`a<b`", ">a&lt;b</code>" },
    { "```c\nint x;\n  y\n```", "<code>int x;\n  y</code></pre></td></tr></table>" },
    { "# One", "<h3 dir=\"auto\">One</h3>" },
    { "###### Six", "<h6 dir=\"auto\">Six</h6>" },
    { "1. a\n2. b", "<li>a</li>\n<li>b</li>" },
    { "3. a", "<ol start=\"3\"" },
    { "- [x] a\n- [ ] b", "\u2611 a</li>" },
    { "|a|b|\n|:-|-:|\n|1|2|", "text-align:right\">b</th>" },
    { "|a|b|\n|:-|-:|\n|1|2|", "border:1px solid" },
    { "> q", "<blockquote" },
    { "a\nb", "a<br>b" },
    { "[w](https://e.org/?a=1&b=\"2)", "<a href=\"https://e.org/?a=1&amp;b=%222\"" },
    { "see www.e.org now", "<a href=\"http://www.e.org\"" },
    { "me@e.org", "<a href=\"mailto:me@e.org\"" },
    { "![cat](https://e.org/c.png)", ">[image: cat]</a>" },
    { "\u0645\u0631\u062d\u0628\u0627", "<p dir=\"rtl\">\u0645\u0631\u062d\u0628\u0627</p>" },
    { "1. \u05e9\u05dc\u05d5\u05dd", "<ol dir=\"rtl\">" },
    { "\u65e5\u672c\u8a9e \U0001F469\u200D\U0001F680",
      "<p dir=\"auto\">\u65e5\u672c\u8a9e \U0001F469\u200D\U0001F680</p>" },
    { "~5 to ~10", "~5 to ~10" },
    { "&copy; &lt;", "\u00a9 &lt;" },
};

START_TEST(markdown_becomes_html_with_its_styles_at_hand)
{
    shows(answered(rendered[_i].markdown), rendered[_i].html);
}
END_TEST

static const struct { const char *markdown, *shown, *never; } hostile[] = {
    { "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;", "<script" },
    { "a <img src=x onerror=y> b", "a &lt;img src=x onerror=y&gt; b", "<img" },
    { "<div>\n**x**\n</div>", "&lt;div&gt;\n**x**\n&lt;/div&gt;", "<div>\n" },
    { "[w](javascript:alert(1))", "w", "javascript" },
    { "[w](JaVaScript:alert(1))", "w", "JaVa" },
    { "[w](&#106;avascript:x)", "w", "javascript" },
    { "[w](data:text/html,x)", "w", "data:" },
    { "[w](/relative)", "w", "/relative" },
    { "[w](//e.org)", "w", "//e.org" },
    { "<javascript:alert(1)>", "javascript:alert(1)", "<a " },
    { "![w](javascript:x)", "[image: w]", "javascript" },
    { "![w](http://e.org/i.png)", "[image: w]", "<img" },
    { "[w](http://e.org \"t\\\" onclick=x\")", "w", "onclick" },
    { "[w](http://e.org/<x>)", "w", "<x>" },
    { "[![a [b](http://b.org)](http://c.org)](http://d.org)", "http://d.org", "b.org" },
    { "`</code></pre><script>`", "&lt;/code&gt;", "<script" },
    { "```\n</pre><script>\n```", "&lt;/pre&gt;&lt;script&gt;", "<script" },
    { "|<script>|\n|-|\n|</td><script>|", "&lt;/td&gt;", "<script" },
    { "<!-- x --> y", "&lt;!-- x --&gt;", "<!--" },
    { "a\x1b[31mb\x7f\x08", "a[31mb", "\x1b" },
    { "```\" onclick=\"x\ncode\n```", "code", "onclick" },
};

START_TEST(nothing_in_an_answer_is_run_or_fetched)
{
    const char *html = answered(hostile[_i].markdown);

    shows(html, hostile[_i].shown);
    hides(html, hostile[_i].never);
}
END_TEST

START_TEST(a_cut_answer_says_so)
{
    struct turn t = a_turn("hi", "once upon");

    hides(answered("once upon"), "interrupted");
    buf_clear(&page);
    t.interrupted = true;
    ck_assert(dialog_html_turn(&page, &t, 1));
    shows(page.data, "interrupted");
}
END_TEST

START_TEST(an_empty_answer_says_so)
{
    shows(answered(" \n"), "(no text)");
}
END_TEST

/* A megabyte of each, also cut into paragraphs: the time stays bounded, the words are there. */
static const char *const units[] = {
    "[", "![", "> ", "- ", "*a ", "_", "`", "<", "<a b=\"", "a@a.", "www.a(", "[a](", "[a](<b",
    "~~a ", "&", "\\", "|", "# ", "1. ", "a\n=\n", "| a |\n| - |\n", "<!--", "<?", "<div>\n\n",
    "a  \n", "\n", "\xf0\x9f\x98\x80", "\t", "- [x] a\n", "```\n",
};

START_TEST(a_megabyte_of_anything_takes_bounded_time)
{
    const char *unit = units[_i / 2];
    size_t n = strlen(unit), paragraph = _i % 2 ? 60000 : SIZE_MAX, since = 0;
    struct buf text;

    buf_init(&text, 2 << 20);
    while (text.len + n + 2 < 1 << 20) {
        buf_add(&text, unit, n);
        if ((since += n) > paragraph)
            since = 0, buf_adds(&text, "\n\n");
    }
    buf_adds(&text, " end.");
    int64_t before = clock_ms();
    ck_assert_msg(strstr(answered(text.data), "end.") != NULL, "%s", unit);
    int64_t ms = clock_ms() - before;
    ck_assert_msg(ms < 15000, "%s took %lld ms", unit, (long long)ms);
    buf_close(&text);
}
END_TEST

START_TEST(a_table_that_would_fill_memory_is_shown_as_text)
{
    struct buf text;

    buf_init(&text, 2 << 20);
    for (int i = 0; i < 20000; i++)
        buf_adds(&text, "|a");
    buf_adds(&text, "|\n");
    for (int i = 0; i < 20000; i++)
        buf_adds(&text, "|-");
    buf_adds(&text, "|\n");
    while (text.len < 60000 + 64000)
        buf_adds(&text, "x\n\n|");
    answered(text.data);
    ck_assert_uint_lt(page.len, 16 << 20);
    buf_close(&text);
}
END_TEST

START_TEST(a_full_page_is_an_error_not_a_short_page)
{
    struct turn t = a_turn("hi", "**a**");
    struct buf small;

    for (size_t max = 0; max < 400; max += 7) {
        buf_init(&small, max);
        ck_assert(!dialog_html_turn(&small, &t, 1));
        buf_close(&small);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dialog_html");
    TCase *c = tcase_create("page");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_page_says_when_how_long_and_who);
    tcase_add_test(c, facts_that_are_not_known_are_left_out);
    tcase_add_loop_test(c, a_length_is_said_as_people_say_it, 0,
                        sizeof(durations) / sizeof(*durations));
    tcase_add_test(c, a_turn_names_speakers_and_times);
    tcase_add_test(c, what_the_user_wrote_is_shown_as_written);
    tcase_add_loop_test(c, markdown_becomes_html_with_its_styles_at_hand, 0,
                        sizeof(rendered) / sizeof(*rendered));
    tcase_add_loop_test(c, nothing_in_an_answer_is_run_or_fetched, 0,
                        sizeof(hostile) / sizeof(*hostile));
    tcase_add_test(c, a_cut_answer_says_so);
    tcase_add_test(c, an_empty_answer_says_so);
    tcase_add_loop_test(c, a_megabyte_of_anything_takes_bounded_time, 0,
                        2 * sizeof(units) / sizeof(*units));
    tcase_add_test(c, a_table_that_would_fill_memory_is_shown_as_text);
    tcase_add_test(c, a_full_page_is_an_error_not_a_short_page);
    suite_add_tcase(s, c);
    return support_run(s);
}
