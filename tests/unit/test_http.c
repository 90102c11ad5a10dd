/* HTTP requests on the loop, against a server that says what the test wants. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/io/http.h"
#include "tests/unit/raw_server.h"
#include "tests/unit/support.h"

/* What one call came to, and what it does when bytes come. */
struct outcome {
    struct http_call *call;
    int               statuses, pieces, done;
    int               status, done_status;
    enum err_code     code;
    char              detail[400];
    struct buf        body, headers;
    bool              refuse, pause_each, cancel, cancel_on_status, free_all, send_more;
};

static struct loop *loop;
static struct http *http;
static struct raw_server *server;
static struct outcome got, got2;
static struct http_request request;

static void ask(struct outcome *o);

static void on_status(void *arg, int status)
{
    struct outcome *o = arg;

    o->statuses++;
    o->status = status;
    ck_assert_int_eq(o->pieces, 0);
    if (o->cancel_on_status)
        http_cancel(o->call);
}

static void on_header(void *arg, const char *name, const char *value)
{
    struct outcome *o = arg;

    ck_assert_int_eq(o->statuses, 0);
    buf_addf(&o->headers, "%s=%s;", name, value);
}

static bool on_body(void *arg, const char *bytes, size_t len)
{
    struct outcome *o = arg;

    ck_assert_uint_gt(len, 0);
    o->pieces++;
    buf_add(&o->body, bytes, len);
    if (o->pause_each)
        http_pause(o->call);
    if (o->send_more) {
        o->send_more = false;
        ask(&got2);
    }
    if (o->cancel)
        http_cancel(o->call);
    if (o->free_all) {
        http_free(http);
        http = NULL;
    }
    return !o->refuse;
}

static void on_done(void *arg, int status, const struct err *e)
{
    struct outcome *o = arg;

    o->call = NULL;
    o->done++;
    o->done_status = status;
    o->code = e ? e->code : ERR_OK;
    snprintf(o->detail, sizeof o->detail, "%s", e ? e->detail : "");
}

static const struct http_handlers handlers = { on_status, on_header, on_body, on_done };

static void ask(struct outcome *o)
{
    o->call = http_send(http, &request, &handlers, o);
    request.body = NULL;
    ck_assert_ptr_nonnull(o->call);
    ck_assert_int_eq(o->done, 0);
}

static void serve(const struct raw_answer *answers, size_t count)
{
    server = raw_server_start(loop, answers, count);
    request.url = raw_server_url(server);
}

static void serve_text(const char *text)
{
    static struct raw_answer one;

    one = (struct raw_answer){ .bytes = text, .close = true };
    serve(&one, 1);
}

static void wait_done(void)
{
    support_until_count(loop, &got.done, 1);
}

static void setup(void)
{
    const struct http_options o = { 1000, 4, true, NULL, "confab-test/1" };

    loop = loop_new();
    http = http_new(loop, &o);
    ck_assert_ptr_nonnull(http);
    memset(&got, 0, sizeof got);
    memset(&got2, 0, sizeof got2);
    buf_init(&got.body, 64 << 20);
    buf_init(&got.headers, 1 << 20);
    buf_init(&got2.body, 64 << 20);
    buf_init(&got2.headers, 1 << 20);
    request = (struct http_request){ .method = "GET", .total_timeout = 10000 };
}

static void teardown(void)
{
    http_free(http);
    raw_server_stop(server);
    buf_close(&got.body);
    buf_close(&got.headers);
    buf_close(&got2.body);
    buf_close(&got2.headers);
    loop_free(loop);
}

#define COUNT(table) (int)(sizeof table / sizeof *table)

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define OK_CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Ab: c d \r\n\r\n"

START_TEST(an_answer_is_the_same_in_pieces_of_any_size)
{
    const struct raw_answer answer = {
        .bytes = "HTTP/1.1 100 Continue\r\nX-Not: this\r\n\r\n" OK_CHUNKED
                 "5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: x\r\n\r\n",
        .piece = (size_t)_i,
    };

    serve(&answer, 1);
    ask(&got);
    wait_done();
    ck_assert_msg(got.code == ERR_OK, "%s", got.detail);
    ck_assert_int_eq(got.statuses, 1);
    ck_assert_int_eq(got.status, 200);
    ck_assert_int_eq(got.done_status, 200);
    ck_assert_str_eq(got.headers.data, "transfer-encoding=chunked;x-ab=c d;");
    ck_assert_str_eq(got.body.data, "hello world");
}
END_TEST

START_TEST(an_answer_of_any_status_that_came_whole_is_no_error)
{
    serve_text("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}");
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.done_status, 503);
    ck_assert_ptr_nonnull(strstr(got.headers.data, "retry-after=7;"));
    ck_assert_str_eq(got.body.data, "{}");
}
END_TEST

START_TEST(a_redirect_is_not_followed)
{
    serve_text("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.done_status, 302);
}
END_TEST

static const struct { const char *text; int status; const char *says; } broken[] = {
    { "", 0, "" },
    { "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, "" },
    { "HTTP/1.1 200 OK\r\nContent-Le", 0, "" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", 200, "" },
    { OK_CHUNKED "5\r\nhel", 200, "" },
    { OK_CHUNKED "5\r\nhello\r\n", 200, "" },
    { OK_CHUNKED "zz\r\nhello\r\n", 200, "" },
    { "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 200, "compressed" },
    { "HTTP/1.1 429 No\r\ncontent-encoding:br\r\n\r\nx", 429, "compressed" },
};

START_TEST(an_answer_that_is_cut_or_broken_is_an_upstream_error)
{
    serve_text(broken[_i].text);
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM);
    ck_assert_int_eq(got.done_status, broken[_i].status);
    ck_assert_str_ne(got.detail, "");
    ck_assert_ptr_nonnull(strstr(got.detail, broken[_i].says));
}
END_TEST

START_TEST(an_identity_encoding_is_taken)
{
    serve_text("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx");
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_OK);
}
END_TEST

START_TEST(a_reset_in_the_body_is_an_upstream_error)
{
    const struct raw_answer answer = {
        .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", .reset = true,
    };

    serve(&answer, 1);
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM);
}
END_TEST

START_TEST(a_port_where_nobody_listens_is_an_upstream_error_and_comes_later)
{
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%d/", support_free_port());
    request.url = url;
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM);
    ck_assert_int_eq(got.done_status, 0);
    ck_assert_ptr_nonnull(strstr(got.detail, "refused"));
}
END_TEST

START_TEST(that_no_file_is_left_is_our_own_fault)
{
    const struct raw_answer answer = { .bytes = OK_HELLO };
    struct rlimit before, few;

    serve(&answer, 1);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)dup(0);      /* what is open stays so */
    setrlimit(RLIMIT_NOFILE, &few);
    ask(&got);
    wait_done();
    setrlimit(RLIMIT_NOFILE, &before);
    ck_assert_int_eq(got.code, ERR_POOL_BUSY);
    close((int)few.rlim_cur);
}
END_TEST

START_TEST(headers_without_end_are_an_upstream_error)
{
    static char many[200000] = "HTTP/1.1 200 OK\r\n";
    const struct raw_answer answer = { .bytes = many };
    char *end = many + strlen(many);

    while (end < many + sizeof many - 20)
        end = stpcpy(end, "X-Header: value\r\n");
    serve(&answer, 1);
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM);
    ck_assert_msg(strstr(got.detail, "64 KiB") != NULL, "%s", got.detail);
}
END_TEST

static const char *const bad_requests[] = { "not a url", "ftp://127.0.0.1/", "http://", "" };

START_TEST(a_request_that_cannot_be_made_ends_in_a_callback_too)
{
    request.url = bad_requests[_i];
    ask(&got);
    wait_done();
    ck_assert_int_ne(got.code, ERR_OK);
    ck_assert_int_eq(got.done_status, 0);
}
END_TEST

START_TEST(a_header_cannot_smuggle_in_another)
{
    const char *const headers[] = { "X-One: a\r\nX-Two: b", NULL };

    serve_text(OK_HELLO);
    request.headers = headers;
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_INTERNAL);
    ck_assert_int_eq(*raw_server_connections(server), 0);
}
END_TEST

static const struct {
    const char *method;
    bool        body;
    const char *line, *length;
} methods[] = {
    { "GET", false, "GET /x HTTP/1.1\r\n", NULL },
    { "DELETE", false, "DELETE /x HTTP/1.1\r\n", NULL },
    { "POST", true, "POST /x HTTP/1.1\r\n", "Content-Length: 4\r\n" },
    { "PUT", true, "PUT /x HTTP/1.1\r\n", "Content-Length: 4\r\n" },
    { "PATCH", true, "PATCH /x HTTP/1.1\r\n", "Content-Length: 4\r\n" },
    { "POST", false, "POST /x HTTP/1.1\r\n", "Content-Length: 0\r\n" },
    { "PUT", false, "PUT /x HTTP/1.1\r\n", "Content-Length: 0\r\n" },
};

/* As methods[i] says, and what the server heard of it. */
static const char *sent_as(int i)
{
    request.method = methods[i].method;
    request.body_len = 0;
    if (methods[i].body) {
        request.body = malloc(4);
        memcpy(request.body, "a\0bc", 4);
        request.body_len = 4;
    }
    got.done = got.statuses = got.pieces = 0;
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_OK);
    return raw_server_heard(server)->data;
}

START_TEST(a_request_is_sent_as_asked_for)
{
    const char *const headers[] = { "Content-Type: application/json", "X-Key: abc", NULL };
    const char *heard;

    serve_text(OK_HELLO);
    request.headers = headers;
    heard = sent_as(_i);
    ck_assert_msg(strncmp(heard, methods[_i].line, strlen(methods[_i].line)) == 0, "%s", heard);
    ck_assert_ptr_nonnull(strstr(heard, "\r\nX-Key: abc\r\n"));
    ck_assert_ptr_nonnull(strstr(heard, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(heard, "\r\nUser-Agent: confab-test/1\r\n"));
    ck_assert_ptr_null(strstr(heard, "Expect"));
    ck_assert_ptr_null(strstr(heard, "Accept-Encoding"));
    if (methods[_i].length)
        ck_assert_ptr_nonnull(strstr(heard, methods[_i].length));
    else
        ck_assert_ptr_null(strstr(heard, "Content-Length"));
    if (methods[_i].body)
        ck_assert_mem_eq(strstr(heard, "\r\n\r\n") + 4, "a\0bc", 4);
}
END_TEST

/* What serves one request serves the next; of the last one but the connection nothing is left. */
START_TEST(nothing_of_the_request_before_it_is_sent)
{
    const char *const headers[] = { "X-Old: 1", NULL };
    char *alone, *after;

    serve(&(struct raw_answer){ .bytes = OK_HELLO }, 1);
    alone = strdup(sent_as(_i % COUNT(methods)));
    request.headers = headers;
    sent_as(_i / COUNT(methods));
    request.headers = NULL;
    after = strdup(sent_as(_i % COUNT(methods)));
    ck_assert_str_eq(alone, after);
    ck_assert_int_eq(*raw_server_connections(server), 1);
    free(alone);
    free(after);
}
END_TEST

START_TEST(prepared_headers_serve_many_requests)
{
    const char *const lines[] = { "X-Key: abc", NULL }, *const two[] = { "X: a\nY: b", NULL };
    struct http_headers *prepared = http_headers_new(lines);

    ck_assert_ptr_null(http_headers_new(two));
    serve(&(struct raw_answer){ .bytes = OK_HELLO }, 1);
    request.prepared = prepared;
    for (int i = 0; i < COUNT(methods); i++)
        ck_assert_ptr_nonnull(strstr(sent_as(i), "\r\nX-Key: abc\r\n"));
    request.prepared = NULL;
    http_headers_free(prepared);
    ck_assert_ptr_null(strstr(sent_as(0), "X-Key"));
}
END_TEST

START_TEST(a_parsed_url_serves_many_requests_and_leaves_nothing_to_others)
{
    struct http_url *parsed;
    char other[200];

    ck_assert_ptr_null(http_url_new("not a url"));
    serve(&(struct raw_answer){ .bytes = OK_HELLO }, 1);
    snprintf(other, sizeof other, "%s/other", raw_server_url(server));
    parsed = http_url_new(raw_server_url(server));
    for (int i = 0; i < COUNT(methods); i++) {
        request.url = NULL;
        request.parsed = parsed;
        ck_assert_ptr_nonnull(strstr(sent_as(i), methods[i].line));
        request.url = other;
        ck_assert_ptr_nonnull(strstr(sent_as(i), " /x/other HTTP/1.1\r\n"));
    }
    ck_assert_int_eq(*raw_server_connections(server), 1);
    http_url_free(parsed);
}
END_TEST

START_TEST(a_head_request_has_headers_and_no_body)
{
    serve_text("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    request.method = "HEAD";
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.pieces, 0);
}
END_TEST

static const size_t body_sizes[] = { 1, 20000, 65535, 65536, 70000, 1 << 20, 5 << 20 };

static void post(size_t size)
{
    request.method = "POST";
    request.body = malloc(size);
    request.body_len = size;
    for (size_t i = 0; i < size; i++)
        request.body[i] = (char)('a' + i % 23);
}

START_TEST(a_body_of_any_size_arrives_whole)
{
    size_t size = body_sizes[_i];
    const struct buf *heard;

    serve_text(OK_CHUNKED "1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
    post(size);
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_OK);
    heard = raw_server_heard(server);
    ck_assert_uint_gt(heard->len, size);
    ck_assert_ptr_null(strstr(heard->data, "Expect"));
    for (size_t i = 0; i < size; i++)
        ck_assert_int_eq(heard->data[heard->len - size + i], 'a' + (char)(i % 23));
}
END_TEST

START_TEST(an_answer_may_come_before_the_request_was_heard_out)
{
    const struct raw_answer answer = {
        .bytes = "HTTP/1.1 413 Too large\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n",
        .early = true,
    };

    serve(&answer, 1);
    post(8 << 20);
    ask(&got);
    support_until_count(loop, &got.statuses, 1);
    ck_assert_int_eq(got.status, 413);
    support_turn(loop, 50);     /* what is still sent must still be there */
    http_cancel(got.call);
}
END_TEST

START_TEST(a_kept_connection_serves_the_next_request_and_a_closed_one_is_replaced)
{
    const struct raw_answer answers[] = {
        { .bytes = OK_HELLO }, { .bytes = OK_HELLO, .close = true }, { .bytes = OK_HELLO },
    };

    serve(answers, 3);
    for (int i = 1; i <= 3; i++) {
        post(20000);
        ask(&got);
        wait_done();
        ck_assert_msg(got.code == ERR_OK, "%s", got.detail);
        ck_assert_int_eq(*raw_server_connections(server), i < 3 ? 1 : 2);
        got.done = got.statuses = got.pieces = 0;
        support_turn(loop, 10);
    }
}
END_TEST

static void ask_at_once(struct outcome *many, int count)
{
    for (int i = 0; i < count; i++) {
        memset(&many[i], 0, sizeof many[i]);
        buf_init(&many[i].body, 100);
        buf_init(&many[i].headers, 100);
        ask(&many[i]);
    }
    for (int i = 0; i < count; i++) {
        support_until_count(loop, &many[i].done, 1);
        ck_assert_int_eq(many[i].code, ERR_OK);
        buf_close(&many[i].body);
        buf_close(&many[i].headers);
    }
}

START_TEST(a_request_is_repeated_once_at_most_however_many_connections_are_dead)
{
    const struct raw_answer answers[] = {
        { .bytes = OK_HELLO }, { .bytes = OK_HELLO }, { .bytes = OK_HELLO }, { .bytes = OK_HELLO },
        { .bytes = "", .close = true },
    };

    static struct outcome many[4];

    serve(answers, 5);
    ask_at_once(many, 4);
    ck_assert_int_eq(*raw_server_connections(server), 4);
    post(100);
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM);
    ck_assert_int_eq(*raw_server_requests(server), 4 + 2);
    ck_assert_int_eq(*raw_server_connections(server), 4 + 1);
}
END_TEST

START_TEST(the_number_of_kept_connections_is_bounded)
{
    const struct raw_answer answer = { .bytes = OK_HELLO };
    static struct outcome many[50];
    int *closed;

    serve(&answer, 1);
    ask_at_once(many, 50);
    closed = (int *)(uintptr_t)raw_server_hangups(server);
    support_until_count(loop, closed, *raw_server_connections(server) - 5);
}
END_TEST

static const struct { const char *text; int64_t first, idle, total; const char *says; } slow[] = {
    { "HTTP/1.", 100, 0, 0, "no answer" },
    { "HTTP/1.1 200 OK\r\nX: y\r\n", 100, 5000, 0, "no answer" },
    { "HTTP/1.", 0, 0, 100, "not done" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 5000, 100, 0, "silent" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 5000, 100, 0, "silent" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 100, 5000, 300, "not done" },
};

START_TEST(each_time_limit_ends_a_call_that_stalls)
{
    const struct raw_answer answer = { .bytes = slow[_i].text };
    int64_t begun = clock_ms(), limit = slow[_i].total;

    if (!limit)
        limit = slow[_i].says[0] == 's' ? slow[_i].idle : slow[_i].first;
    serve(&answer, 1);
    request.first_byte_timeout = slow[_i].first;
    request.idle_timeout = slow[_i].idle;
    request.total_timeout = slow[_i].total;
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM_SLOW);
    ck_assert_ptr_nonnull(strstr(got.detail, slow[_i].says));
    ck_assert_int_ge(clock_ms() - begun, limit - 2);
    ck_assert_int_lt(clock_ms() - begun, limit + 1000);
    support_until_count(loop, raw_server_hangups(server), 1);
}
END_TEST

START_TEST(bytes_that_come_keep_a_slow_answer_alive)
{
    const struct raw_answer answer = { .bytes = OK_CHUNKED "1\r\nx\r\n", .for_ever = false };

    serve(&answer, 1);
    request.idle_timeout = 60;
    request.total_timeout = 10000;
    ask(&got);
    support_until_count(loop, &got.pieces, 1);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM_SLOW);
}
END_TEST

START_TEST(a_cancelled_call_is_silent_and_the_server_sees_it_go)
{
    const struct raw_answer answer = { .bytes = OK_CHUNKED "1\r\nx\r\n" };
    int64_t begun;

    serve(&answer, 1);
    ask(&got);
    support_until_count(loop, &got.pieces, 1);
    begun = clock_ms();
    http_cancel(got.call);
    support_until_count(loop, raw_server_hangups(server), 1);
    ck_assert_int_lt(clock_ms() - begun, 100);
    ck_assert_int_eq(got.done, 0);
    http_cancel(NULL);
}
END_TEST

START_TEST(a_call_cancelled_before_it_began_is_never_sent)
{
    serve_text(OK_HELLO);
    ask(&got);
    http_cancel(got.call);
    support_turn(loop, 30);
    ck_assert_int_eq(got.done + got.statuses, 0);
    ck_assert_int_eq(*raw_server_requests(server), 0);
}
END_TEST

START_TEST(a_call_may_be_cancelled_in_its_own_callbacks)
{
    const struct raw_answer answer = { .bytes = OK_CHUNKED "1\r\nx\r\n1\r\ny\r\n" };

    serve(&answer, 1);
    got.cancel = _i == 0;
    got.cancel_on_status = _i == 1;
    ask(&got);
    support_until_count(loop, raw_server_hangups(server), 1);
    ck_assert_int_eq(got.done, 0);
    ck_assert_int_eq(got.pieces, _i == 0);
}
END_TEST

START_TEST(a_body_that_is_refused_ends_the_call_as_cancelled)
{
    serve_text(OK_CHUNKED "1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
    got.refuse = true;
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_CANCELLED);
    ck_assert_int_eq(got.done_status, 200);
    ck_assert_int_eq(got.pieces, 1);
}
END_TEST

START_TEST(all_may_be_freed_in_a_callback)
{
    const struct raw_answer answer = { .bytes = OK_CHUNKED "1\r\nx\r\n1\r\ny\r\n" };

    serve(&answer, 1);
    got.free_all = true;
    ask(&got);
    ask(&got2);
    support_until_count(loop, raw_server_hangups(server), 2);
    ck_assert_int_eq(got.done + got2.done, 0);
    ck_assert_int_eq(got.pieces + got2.pieces, 1);
}
END_TEST

static void on_done_free(void *arg, int status, const struct err *e)
{
    on_done(arg, status, e);
    http_free(http);
    http = NULL;
}

START_TEST(all_may_be_freed_in_the_last_callback)
{
    static const struct http_handlers last = { on_status, on_header, on_body, on_done_free };
    const struct raw_answer answers[] = { { .bytes = OK_HELLO }, { .bytes = "HTTP/1." } };

    serve(answers, 2);
    request.first_byte_timeout = _i == 0 ? 0 : 50;
    if (_i)
        request.url = "http://";
    got.call = http_send(http, &request, &last, &got);
    request.url = raw_server_url(server);
    ask(&got2);
    wait_done();
    support_turn(loop, 80);
    ck_assert_int_eq(got2.done, 0);
}
END_TEST

START_TEST(a_call_may_be_made_in_a_callback)
{
    const struct raw_answer answer = { .bytes = OK_HELLO };

    serve(&answer, 1);
    got.send_more = true;
    ask(&got);
    support_until_count(loop, &got2.done, 1);
    ck_assert_str_eq(got.body.data, "hello");
    ck_assert_str_eq(got2.body.data, "hello");
}
END_TEST

enum { BIG = 8 << 20 };

static char *big_answer(void)
{
    char *text = malloc(BIG + 100);
    int head = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);

    for (int i = 0; i < BIG; i++)
        text[head + i] = (char)('a' + i % 23);
    text[head + BIG] = '\0';
    return text;
}

static bool has_stalled(void *arg)
{
    size_t *before = arg, now = raw_server_sent(server);
    bool same = now > 0 && now == *before;

    *before = now;
    return same;
}

START_TEST(while_paused_nothing_comes_and_the_sender_is_held_up)
{
    char *text = big_answer();
    struct raw_answer answer = { .bytes = text, .close = true };
    size_t before = 0;
    int pieces;

    serve(&answer, 1);
    request.idle_timeout = 100;
    ask(&got);
    support_until_count(loop, &got.pieces, 1);
    http_pause(got.call);
    pieces = got.pieces;
    support_turn(loop, 200);        /* longer than the idle limit */
    support_until_true(loop, has_stalled, &before);
    ck_assert_int_eq(got.pieces, pieces);
    ck_assert_int_eq(got.done, 0);
    ck_assert_uint_lt(raw_server_sent(server), BIG);
    http_resume(got.call);
    ck_assert_int_eq(got.pieces, pieces);
    wait_done();
    ck_assert_msg(got.code == ERR_OK, "%s", got.detail);
    ck_assert_uint_eq(got.body.len, BIG);
    ck_assert_str_eq(got.body.data, strstr(text, "\r\n\r\n") + 4);
    free(text);
}
END_TEST

static bool has_moved(void *arg)
{
    return got.done || got.pieces > *(int *)arg;
}

START_TEST(a_call_paused_in_each_callback_gets_one_piece_for_each_resume)
{
    serve_text(OK_CHUNKED "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n");
    got.pause_each = true;
    ask(&got);
    support_until_count(loop, &got.pieces, 1);
    while (!got.done) {
        int pieces = got.pieces;

        support_turn(loop, 10);
        ck_assert_int_eq(got.pieces, pieces);
        http_resume(got.call);
        support_until_true(loop, has_moved, &pieces);
        ck_assert_int_le(got.pieces, pieces + 1);
    }
    wait_done();
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_str_eq(got.body.data, "abcdef");
}
END_TEST

START_TEST(a_paused_call_can_be_cancelled_and_one_resumed_just_before)
{
    const struct raw_answer answer = { .bytes = OK_CHUNKED "1\r\na\r\n2\r\nbc\r\n" };

    serve(&answer, 1);
    got.pause_each = true;
    ask(&got);
    support_until_count(loop, &got.pieces, 1);
    support_turn(loop, 10);
    if (_i)
        http_resume(got.call);
    http_cancel(got.call);
    support_until_count(loop, raw_server_hangups(server), 1);
    ck_assert_int_eq(got.pieces, 1);
}
END_TEST

START_TEST(a_refusal_or_cancel_right_after_a_resume_ends_the_call)
{
    const struct raw_answer answer = { .bytes = OK_CHUNKED "1\r\na\r\n2\r\nbc\r\n" };

    serve(&answer, 1);
    got.pause_each = true;
    ask(&got);
    support_until_count(loop, &got.pieces, 1);
    support_turn(loop, 10);
    got.refuse = _i == 0;
    got.cancel = _i == 1;
    http_resume(got.call);
    support_until_count(loop, raw_server_hangups(server), 1);
    ck_assert_int_eq(got.done, _i == 0);
}
END_TEST

START_TEST(many_streams_at_rest_are_small_and_all_end)
{
    enum { STREAMS = 1500 };
    const struct raw_answer answer = { .bytes = OK_CHUNKED "1\r\nx\r\n" };
    struct outcome *all = calloc(STREAMS, sizeof *all);
    struct mallinfo2 before = mallinfo2(), after;   /* without the 20000 of the request */

    loop_raise_file_limit();
    serve(&answer, 1);
    for (int i = 0; i < STREAMS; i++) {
        buf_init(&all[i].body, 1000);
        buf_init(&all[i].headers, 1000);
        post(20000);
        ask(&all[i]);
        if (i % 50 == 49)
            support_until_count(loop, &all[i].pieces, 1);
    }
    for (int i = 0; i < STREAMS; i++)
        support_until_count(loop, &all[i].pieces, 1);
    after = mallinfo2();
    /* With the server's end, without the kernel's; nothing is counted under a sanitizer. */
    ck_assert_uint_lt((after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / STREAMS,
                      16000);
    raw_server_stop(server);
    server = NULL;
    for (int i = 0; i < STREAMS; i++) {
        support_until_count(loop, &all[i].done, 1);
        ck_assert_int_eq(all[i].code, ERR_UPSTREAM);
        buf_close(&all[i].body);
        buf_close(&all[i].headers);
    }
    free(all);
}
END_TEST

enum { CONNECT_AT_ONCE = 256 };

/* Handshakes to which the server says nothing. */
static const int *connect_in_vain(struct outcome *all, int count)
{
    static char url[100];

    loop_raise_file_limit();
    serve_text("");
    snprintf(url, sizeof url, "https%s", request.url + strlen("http"));
    request.url = url;
    for (int i = 0; i < count; i++)
        ask(&all[i]);
    return raw_server_connections(server);
}

START_TEST(so_many_connect_at_once_and_the_others_wait_in_line)
{
    enum { CALLS = CONNECT_AT_ONCE + 50, LEAVE = 20 };
    static struct outcome all[CALLS];
    const int *connections = connect_in_vain(all, CALLS);

    support_until_count(loop, connections, CONNECT_AT_ONCE);
    support_turn(loop, 20);
    ck_assert_int_eq(*connections, CONNECT_AT_ONCE);
    for (int i = 0; i < LEAVE; i++) {
        http_cancel(all[i].call);               /* one that connects, */
        http_cancel(all[CALLS - 1 - i].call);   /* and one in line */
    }
    support_until_count(loop, connections, CONNECT_AT_ONCE + LEAVE);
    support_turn(loop, 20);
    ck_assert_int_eq(*connections, CONNECT_AT_ONCE + LEAVE);
    for (int i = LEAVE; i < CALLS - LEAVE; i++) {
        support_until_count(loop, &all[i].done, 1);
        ck_assert_int_eq(all[i].code, ERR_UPSTREAM_SLOW);
    }
    ck_assert_int_eq(*connections, CALLS - LEAVE);
}
END_TEST

START_TEST(who_waits_in_line_has_the_same_deadline)
{
    static struct outcome all[CONNECT_AT_ONCE];

    connect_in_vain(all, CONNECT_AT_ONCE);
    request.first_byte_timeout = 50;
    ask(&got);
    wait_done();
    ck_assert_int_eq(got.code, ERR_UPSTREAM_SLOW);
    ck_assert_int_eq(all[0].done, 0);
}
END_TEST

static TCase *answers(void)
{
    TCase *tc = tcase_create("answers");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, an_answer_is_the_same_in_pieces_of_any_size, 1, 12);
    tcase_add_test(tc, an_answer_of_any_status_that_came_whole_is_no_error);
    tcase_add_test(tc, a_redirect_is_not_followed);
    tcase_add_loop_test(tc, an_answer_that_is_cut_or_broken_is_an_upstream_error, 0, COUNT(broken));
    tcase_add_test(tc, an_identity_encoding_is_taken);
    tcase_add_test(tc, a_reset_in_the_body_is_an_upstream_error);
    tcase_add_test(tc, a_port_where_nobody_listens_is_an_upstream_error_and_comes_later);
    tcase_add_test(tc, that_no_file_is_left_is_our_own_fault);
    tcase_add_test(tc, headers_without_end_are_an_upstream_error);
    tcase_add_loop_test(tc, each_time_limit_ends_a_call_that_stalls, 0, COUNT(slow));
    tcase_add_test(tc, bytes_that_come_keep_a_slow_answer_alive);
    return tc;
}

static TCase *requests(void)
{
    TCase *tc = tcase_create("requests");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_request_that_cannot_be_made_ends_in_a_callback_too, 0,
                        COUNT(bad_requests));
    tcase_add_test(tc, a_header_cannot_smuggle_in_another);
    tcase_add_loop_test(tc, a_request_is_sent_as_asked_for, 0, COUNT(methods));
    tcase_add_loop_test(tc, nothing_of_the_request_before_it_is_sent, 0,
                        COUNT(methods) * COUNT(methods));
    tcase_add_test(tc, prepared_headers_serve_many_requests);
    tcase_add_test(tc, a_parsed_url_serves_many_requests_and_leaves_nothing_to_others);
    tcase_add_test(tc, a_head_request_has_headers_and_no_body);
    tcase_add_loop_test(tc, a_body_of_any_size_arrives_whole, 0, COUNT(body_sizes));
    tcase_add_test(tc, an_answer_may_come_before_the_request_was_heard_out);
    tcase_add_test(tc, a_kept_connection_serves_the_next_request_and_a_closed_one_is_replaced);
    tcase_add_test(tc, a_request_is_repeated_once_at_most_however_many_connections_are_dead);
    tcase_add_test(tc, the_number_of_kept_connections_is_bounded);
    tcase_add_test(tc, so_many_connect_at_once_and_the_others_wait_in_line);
    tcase_add_test(tc, who_waits_in_line_has_the_same_deadline);
    tcase_add_test(tc, many_streams_at_rest_are_small_and_all_end);
    return tc;
}

static TCase *control(void)
{
    TCase *tc = tcase_create("cancel and pause");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_cancelled_call_is_silent_and_the_server_sees_it_go);
    tcase_add_test(tc, a_call_cancelled_before_it_began_is_never_sent);
    tcase_add_loop_test(tc, a_call_may_be_cancelled_in_its_own_callbacks, 0, 2);
    tcase_add_test(tc, a_body_that_is_refused_ends_the_call_as_cancelled);
    tcase_add_test(tc, all_may_be_freed_in_a_callback);
    tcase_add_loop_test(tc, all_may_be_freed_in_the_last_callback, 0, 2);
    tcase_add_test(tc, a_call_may_be_made_in_a_callback);
    tcase_add_test(tc, while_paused_nothing_comes_and_the_sender_is_held_up);
    tcase_add_test(tc, a_call_paused_in_each_callback_gets_one_piece_for_each_resume);
    tcase_add_loop_test(tc, a_paused_call_can_be_cancelled_and_one_resumed_just_before, 0, 2);
    tcase_add_loop_test(tc, a_refusal_or_cancel_right_after_a_resume_ends_the_call, 0, 2);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("http");

    suite_add_tcase(suite, answers());
    suite_add_tcase(suite, requests());
    suite_add_tcase(suite, control());
    return support_run(suite);
}
