/* The reader for server-sent events: the same events, however the bytes are cut. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/io/sse.h"
#include "tests/unit/support.h"

/* What comes out, as "name|data;" per event; a NUL is printed as '0'. */
static const struct sample { const char *bytes; size_t len; const char *events; } samples[] = {
#define S(bytes, events) { "" bytes, sizeof bytes - 1, events }
    S("data: hello\n\ndata: world\n\n", "|hello;|world;"),
    S("data: hello\r\n\r\ndata: world\r\n\r\n", "|hello;|world;"),
    S("data: hello\r\rdata: world\r\r", "|hello;|world;"),
    S("data: a\r\ndata: b\rdata: c\n\n", "|a\nb\nc;"),
    S("data:no space\n\ndata:  two\n\n", "|no space;| two;"),
    S("data\n\ndata\ndata\n\ndata:\n\n", "|;|\n;|;"),
    S("\n\n: comment\n\nevent: lonely\n\ndata: x\n\n", "|x;"),
    S("event: ping\ndata: {}\n\ndata: after\n\n", "ping|{};|after;"),
    S("event: a\nevent: b\ndata: x\n\n", "b|x;"),
    S("event\ndata: x\n\n", "|x;"),
    S("id: 7\nretry: 10\nfield\nother: y\nDATA: z\n data: q\ndata : r\ndata: x\n\n", "|x;"),
    S("data: a: b :c\n\n", "|a: b :c;"),
    S("\xEF\xBB\xBF" "data: marked\n\n", "|marked;"),
    S("\xEF\xBB\xBF\ndata: x\n\n\xEF\xBB\xBF" "data: y\n\n", "|x;"),
    S("data: n\0l\n\ndata: \0\n\n", "|n0l;|0;"),
    S(": keep-alive\n\n: keep-alive\n\ndata: [DONE]\n\n", "|[DONE];"),
    S("data: \xD9\x85\xF0\x9F\x8E\x89\n\n", "|\xD9\x85\xF0\x9F\x8E\x89;"),
    S("data: no blank line\n", "|no blank line;"),
    S("data: no line end", "|no line end;"),
    S("data: whole\n\nevent: x", "|whole;"),
    S("data: cr at the end\r", "|cr at the end;"),
    S("", ""),
#undef S
};
enum { SAMPLES = sizeof samples / sizeof *samples, LONGEST = 80 };

static struct sse *reader;
static struct buf seen;

static void setup(void)
{
    reader = sse_new(1000);
    buf_init(&seen, 1 << 20);
}

static void teardown(void)
{
    sse_free(reader);
    buf_close(&seen);
}

static void take_all(void)
{
    const struct sse_event *event;

    while ((event = sse_next(reader))) {
        ck_assert_int_eq(event->data[event->len], '\0');
        buf_addf(&seen, "%s|", event->name);
        for (size_t i = 0; i < event->len; i++)
            buf_addc(&seen, event->data[i] ? event->data[i] : '0');
        buf_addc(&seen, ';');
    }
}

static void feed(const char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1);    /* so that a read beyond it is noticed */

    memcpy(exact, bytes, len);
    ck_assert_int_eq(sse_feed(reader, exact, len, NULL), ERR_OK);
    free(exact);
}

START_TEST(events_are_the_same_in_pieces_of_any_size)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t at = 0; at < samples[i].len; at += (size_t)_i) {
            size_t rest = samples[i].len - at;

            feed(samples[i].bytes + at, rest < (size_t)_i ? rest : (size_t)_i);
            take_all();
        }
        sse_end(reader);
        take_all();
        ck_assert_msg(strcmp(seen.data, samples[i].events) == 0, "sample %zu: %s", i, seen.data);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(events_are_the_same_when_cut_once_at_any_place_and_taken_at_the_end)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        if ((size_t)_i > samples[i].len)
            continue;
        feed(samples[i].bytes, (size_t)_i);
        feed(samples[i].bytes + _i, samples[i].len - (size_t)_i);
        sse_end(reader);
        take_all();
        ck_assert_msg(strcmp(seen.data, samples[i].events) == 0, "sample %zu: %s", i, seen.data);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(without_the_end_an_unfinished_event_stays_inside)
{
    feed("data: one\n", 10);
    ck_assert_ptr_null(sse_next(reader));
    feed("\n", 1);
    ck_assert_str_eq(sse_next(reader)->data, "one");
    ck_assert_ptr_null(sse_next(reader));
}
END_TEST

/* An event of len bytes of data in lines of 100, fed in pieces. */
static enum err_code feed_event(size_t len, size_t piece)
{
    struct buf text;
    enum err_code code = ERR_OK;

    buf_init(&text, 4 << 20);
    for (size_t i = 0; i < len; i++) {
        if (i % 101 == 0)
            buf_adds(&text, i ? "\ndata: " : "data: ");
        if (i == 0 || i % 101)
            buf_addc(&text, 'x');
    }
    buf_adds(&text, "\n\n");
    for (size_t at = 0; at < text.len && code == ERR_OK; at += piece)
        code = sse_feed(reader, text.data + at, text.len - at < piece ? text.len - at : piece,
                        NULL);
    buf_close(&text);
    return code;
}

START_TEST(the_largest_event_is_accepted_and_one_byte_more_is_not)
{
    const size_t pieces[] = { 1, 7, 100000 };
    struct err e = ERR_NONE;

    ck_assert_int_eq(feed_event(1000, pieces[_i]), ERR_OK);
    ck_assert_uint_eq(sse_next(reader)->len, 1000);
    ck_assert_int_eq(feed_event(1001, pieces[_i]), ERR_UPSTREAM);
    ck_assert_int_eq(sse_feed(reader, "\n", 1, &e), ERR_UPSTREAM);
    ck_assert_str_eq(e.detail, "an event is larger than 1000 bytes");
    sse_end(reader);
    ck_assert_ptr_null(sse_next(reader));
}
END_TEST

START_TEST(what_was_whole_before_a_fault_can_be_taken)
{
    char bytes[3000] = "data: whole\n\ndata: ";

    memset(bytes + 19, 'x', sizeof bytes - 19);
    ck_assert_int_eq(sse_feed(reader, bytes, sizeof bytes, NULL), ERR_UPSTREAM);
    ck_assert_str_eq(sse_next(reader)->data, "whole");
    ck_assert_ptr_null(sse_next(reader));
}
END_TEST

START_TEST(a_line_without_end_is_refused_be_it_a_comment_or_a_name)
{
    const char *begin[] = { ": ", "event: ", "unknown" };
    enum err_code code = sse_feed(reader, begin[_i], strlen(begin[_i]), NULL);

    for (int i = 0; i < 3000 && code == ERR_OK; i++)
        code = sse_feed(reader, "x", 1, NULL);
    ck_assert_int_eq(code, ERR_UPSTREAM);
}
END_TEST

START_TEST(comments_for_ever_take_no_memory)
{
    struct mallinfo2 before = mallinfo2();

    for (int i = 0; i < 100000; i++) {
        feed(": still here\n", 13);
        if (i % 2)
            ck_assert_ptr_null(sse_next(reader));
    }
    ck_assert_uint_lt(mallinfo2().uordblks, before.uordblks + 1024);
}
END_TEST

START_TEST(a_megabyte_byte_by_byte_costs_what_it_weighs_and_its_memory_goes)
{
    struct mallinfo2 before;
    int64_t begun;

    teardown();
    reader = sse_new(1 << 20);
    before = mallinfo2();
    begun = clock_ms();
    ck_assert_int_eq(feed_event(1 << 20, 1), ERR_OK);
    ck_assert_int_lt(clock_ms() - begun, 3000);
    ck_assert_uint_eq(sse_next(reader)->len, 1 << 20);
    ck_assert_ptr_null(sse_next(reader));
    ck_assert_uint_lt(mallinfo2().uordblks, before.uordblks + 1024);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sse");
    TCase *tc = tcase_create("sse");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, events_are_the_same_in_pieces_of_any_size, 1, LONGEST);
    tcase_add_loop_test(tc, events_are_the_same_when_cut_once_at_any_place_and_taken_at_the_end, 0,
                        LONGEST);
    tcase_add_test(tc, without_the_end_an_unfinished_event_stays_inside);
    tcase_add_loop_test(tc, the_largest_event_is_accepted_and_one_byte_more_is_not, 0, 3);
    tcase_add_test(tc, what_was_whole_before_a_fault_can_be_taken);
    tcase_add_loop_test(tc, a_line_without_end_is_refused_be_it_a_comment_or_a_name, 0, 3);
    tcase_add_test(tc, comments_for_ever_take_no_memory);
    tcase_add_test(tc, a_megabyte_byte_by_byte_costs_what_it_weighs_and_its_memory_goes);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
