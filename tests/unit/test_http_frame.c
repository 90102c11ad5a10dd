/* Where an answer ends. */
#include <check.h>
#include <string.h>

#include "lib/io/http_frame.h"
#include "tests/unit/support.h"

struct field { const char *name, *value; };

static struct http_frame head(const char *line, int status, const struct field fields[3])
{
    struct http_frame f = { .phase = FRAME_HEAD };

    frame_begin(&f, line);
    for (int i = 0; i < 3 && fields[i].name; i++)
        ck_assert(frame_field(&f, fields[i].name, fields[i].value));
    frame_head_ends(&f, status);
    return f;
}

static const struct {
    const char      *line;
    int              status;
    struct field     fields[3];
    enum frame_phase phase;
    bool             closes;
} heads[] = {
    { "HTTP/1.1 200 OK\r\n", 200, { { "content-length", "5" } }, FRAME_BODY, false },
    { "HTTP/1.1 200 OK\r\n", 200, { { "content-length", "0" } }, FRAME_OVER, false },
    { "HTTP/1.1 200 OK\r\n", 200, { { "transfer-encoding", "Chunked" } }, FRAME_CHUNK_SIZE, false },
    { "HTTP/1.1 200 OK\r\n", 200, { { "x", "y" } }, FRAME_UNTIL_CLOSE, true },
    { "HTTP/1.1 204 No\r\n", 204, { { "x", "y" } }, FRAME_OVER, false },
    { "HTTP/1.1 304 No\r\n", 304, { { "content-length", "5" } }, FRAME_OVER, false },
    { "HTTP/1.1 103 Yet\r\n", 103, { { "content-length", "5" } }, FRAME_HEAD, false },
    { "HTTP/1.0 200 OK\r\n", 200, { { "content-length", "5" } }, FRAME_BODY, true },
    { "HTTP/1.1 200 OK\r\n", 200, { { "content-length", "5" }, { "connection", "x, Close" } },
      FRAME_BODY, true },
    { "HTTP/1.1 200 OK\r\n", 200, { { "content-length", "5" }, { "transfer-encoding", "chunked" } },
      FRAME_CHUNK_SIZE, true },
    { "HTTP/1.1 200 OK\r\n", 200, { { "content-length", "5" }, { "content-length", "5" } },
      FRAME_BODY, false },
};

START_TEST(a_head_tells_where_its_body_ends_and_what_becomes_of_the_connection)
{
    struct http_frame f = head(heads[_i].line, heads[_i].status, heads[_i].fields);

    ck_assert_int_eq(f.phase, heads[_i].phase);
    ck_assert_int_eq(f.closes, heads[_i].closes);
}
END_TEST

static const struct field bad_fields[] = {
    { "content-length", "" }, { "content-length", "-1" }, { "content-length", "5x" },
    { "content-length", "0x5" }, { "content-length", "6" }, { "content-length", "5, 5" },
    { "content-length", "999999999999999999999" }, { "transfer-encoding", "gzip, chunked" },
};

START_TEST(a_field_that_leaves_the_end_open_is_refused)
{
    struct http_frame f;

    frame_begin(&f, "HTTP/1.1 200 OK\r\n");
    ck_assert(frame_field(&f, "content-length", "5"));
    ck_assert(!frame_field(&f, bad_fields[_i].name, bad_fields[_i].value));
}
END_TEST

static const struct { const char *line; int64_t left; } sizes[] = {
    { "5\r\n", 5 }, { "1A\n", 26 }, { "00f;name=value\r\n", 15 }, { "5 \r\n", 5 },
    { "\r\n", -1 }, { "-5\r\n", -1 }, { "5x\r\n", -1 }, { " 5\r\n", -1 }, { "0x5\r\n", -1 },
    { "1234567890abcdef0\r\n", -1 },
};

START_TEST(a_chunk_has_its_size_in_hex_and_nothing_else)
{
    struct http_frame f = { .phase = FRAME_CHUNK_SIZE };

    ck_assert_int_eq(frame_line(&f, sizes[_i].line, strlen(sizes[_i].line)), sizes[_i].left >= 0);
    if (sizes[_i].left >= 0)
        ck_assert_int_eq(f.left, sizes[_i].left);
}
END_TEST

START_TEST(chunks_end_with_an_empty_one_and_the_trailer)
{
    struct http_frame f = { .phase = FRAME_CHUNK_SIZE };

    ck_assert(frame_line(&f, "5\r\n", 3));
    ck_assert(frame_in_body(&f));
    ck_assert_uint_eq(frame_part(&f, 3), 3);
    frame_passed(&f, 3);
    ck_assert_uint_eq(frame_part(&f, 9), 2);
    frame_passed(&f, 2);
    ck_assert(!frame_in_body(&f));
    ck_assert(frame_line(&f, "\r\n", 2));
    ck_assert(frame_line(&f, "0\r\n", 3));
    ck_assert(frame_line(&f, "X-Trailer: x\r\n", 14));
    ck_assert_int_eq(f.phase, FRAME_TRAILER);
    ck_assert(frame_line(&f, "\r\n", 2));
    ck_assert_int_eq(f.phase, FRAME_OVER);
}
END_TEST

START_TEST(a_chunk_ends_with_a_line_end)
{
    struct http_frame f = { .phase = FRAME_CHUNK_END };

    ck_assert(!frame_line(&f, "x\r\n", 3));
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof *table)

int main(void)
{
    Suite *suite = suite_create("http_frame");
    TCase *tc = tcase_create("ends");

    tcase_add_loop_test(tc, a_head_tells_where_its_body_ends_and_what_becomes_of_the_connection, 0,
                        COUNT(heads));
    tcase_add_loop_test(tc, a_field_that_leaves_the_end_open_is_refused, 0, COUNT(bad_fields));
    tcase_add_loop_test(tc, a_chunk_has_its_size_in_hex_and_nothing_else, 0, COUNT(sizes));
    tcase_add_test(tc, chunks_end_with_an_empty_one_and_the_trailer);
    tcase_add_test(tc, a_chunk_ends_with_a_line_end);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
