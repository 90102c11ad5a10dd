/* Replies and event streams, as they reach the web server. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fcgi/conn.h"
#include "fcgi/response.h"
#include "lib/base/clock.h"
#include "tests/unit/fcgi_client.h"
#include "tests/unit/support.h"

static struct app *app;
static struct conns conns;
static struct request *r;
static struct fcgi_client *client;
static int ended;

static void on_over(struct request *request, void *arg)
{
    (void)arg;
    ck_assert_ptr_eq(request, r);
}

static void on_fewer(void *arg)
{
    (void)arg;
    ended++;
}

static void setup(void)
{
    int fds[2];
    struct conn *c;

    app = fcgi_app();
    ended = 0;
    conns = (struct conns){ .base = loop_base(app->loop), .max_unsent = 64 << 10,
                            .on_over = on_over, .on_fewer = on_fewer };
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    c = conn_new(&conns, fds[0]);
    r = calloc(1, sizeof(*r));
    ck_assert(c && r);
    conn_begin(c, r, 258, false);
    r->app = app;
    r->method = METHOD_POST;
    r->started_us = clock_us();
    r->target = "/x";
    r->headers[HEADER_REQUEST_ID] = "the-id";
    request_init(r);
    client = fcgi_client(app->loop, fds[1]);
}

static void teardown(void)
{
    support_until(app->loop, &client->closed);
    ck_assert_int_eq(ended, 1);
    ck_assert_uint_eq(conns.count, 0);
    fcgi_leave(client);
    fcgi_app_free(app);
}

static void error(enum err_code code, const char *detail)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", detail);
    response_error(r, &e);
}

START_TEST(a_json_reply_carries_length_id_and_type)
{
    struct buf body;

    buf_init(&body, 100);
    buf_adds(&body, "{\"bot_text\":\"hi\"}");
    response_header(r, "X-Session-Id", "a\r\nEvil: 1");
    response_json(r, 200, &body);
    buf_close(&body);
    support_until(app->loop, &client->ended);
    ck_assert(fcgi_has_header(client, "Status: 200 OK"));
    ck_assert(fcgi_has_header(client, "Content-Type: application/json"));
    ck_assert(fcgi_has_header(client, "Content-Length: 17"));
    ck_assert(fcgi_has_header(client, "X-Request-Id: the-id"));
    ck_assert(fcgi_has_header(client, "X-Session-Id: aEvil: 1"));
    ck_assert(fcgi_has_header(client, "Cache-Control: no-store"));
    ck_assert_ptr_nonnull(strstr(client->text.data, "\r\nX-Confab-Overhead-Ms: 0."));
    ck_assert_ptr_null(strstr(client->text.data, "Access-Control"));
    ck_assert_str_eq(fcgi_body(client), "{\"bot_text\":\"hi\"}");
}
END_TEST

START_TEST(a_head_gets_the_length_but_no_body)
{
    r->method = METHOD_HEAD;
    response_bytes(r, 200, "text/plain", "hello", 5);
    support_until(app->loop, &client->ended);
    ck_assert(fcgi_has_header(client, "Content-Length: 5"));
    ck_assert_str_eq(fcgi_body(client), "");
}
END_TEST

START_TEST(a_body_that_could_not_be_built_is_500)
{
    struct buf body;

    buf_init(&body, 1);
    buf_adds(&body, "too long");
    response_json(r, 200, &body);
    buf_close(&body);
    support_until(app->loop, &client->ended);
    ck_assert_int_eq(fcgi_status(client), 500);
}
END_TEST

START_TEST(every_error_is_a_problem_object)
{
    json_t *problem;

    error((enum err_code)_i, "the detail \"quoted\"");
    support_until(app->loop, &client->ended);
    ck_assert_int_eq(fcgi_status(client), err_status((enum err_code)_i));
    ck_assert(fcgi_has_header(client, "Content-Type: application/problem+json"));
    problem = json_loads(fcgi_body(client), 0, NULL);
    ck_assert_ptr_nonnull(problem);
    ck_assert_int_eq(json_integer_value(json_object_get(problem, "status")),
                     err_status((enum err_code)_i));
    ck_assert_str_eq(json_string_value(json_object_get(problem, "code")),
                     err_name((enum err_code)_i));
    ck_assert_str_eq(json_string_value(json_object_get(problem, "request_id")), "the-id");
    ck_assert_ptr_nonnull(json_string_value(json_object_get(problem, "title")));
    ck_assert_int_eq(strncmp(json_string_value(json_object_get(problem, "type")), "/docs#", 6), 0);
    ck_assert_ptr_null(json_object_get(problem, "field"));
    json_decref(problem);
}
END_TEST

START_TEST(what_is_not_for_the_client_stays_in_the_log)
{
    error(ERR_INTERNAL, "secret: 10.0.0.7");
    support_until(app->loop, &client->ended);
    ck_assert_ptr_null(strstr(client->text.data, "10.0.0.7"));
}
END_TEST

START_TEST(a_faulty_field_is_named)
{
    struct err e = ERR_NONE;

    err_field(&e, "user_text", "too long");
    response_error(r, &e);
    support_until(app->loop, &client->ended);
    ck_assert_ptr_nonnull(strstr(fcgi_body(client), "\"field\":\"user_text\""));
}
END_TEST

START_TEST(a_busy_answer_says_when_to_come_back)
{
    struct err e = ERR_NONE;

    err_set(&e, _i ? ERR_UPSTREAM_BUSY : ERR_STORE, "x");
    e.retry_after = _i ? 17 : 0;
    response_error(r, &e);
    support_until(app->loop, &client->ended);
    ck_assert(fcgi_has_header(client, _i ? "Retry-After: 17" : "Retry-After: 1"));
}
END_TEST

START_TEST(a_missing_key_is_asked_for)
{
    error(ERR_UNAUTHORIZED, "x");
    support_until(app->loop, &client->ended);
    ck_assert(fcgi_has_header(client, "WWW-Authenticate: Bearer realm=\"confab\""));
}
END_TEST

START_TEST(a_stream_sends_its_head_with_the_first_event)
{
    response_stream_begin(r);
    support_turn(app->loop, 10);
    ck_assert_uint_eq(client->text.len, 0);
    ck_assert(!response_streaming(r));
    ck_assert(response_event(r, "7-1", "delta", "{\"text\":\"a\"}", 12));
    ck_assert(response_streaming(r));
    response_comment(r);
    response_event(r, "7-2", "done", "{}", 2);
    response_end(r);
    support_until(app->loop, &client->ended);
    ck_assert(fcgi_has_header(client, "Status: 200 OK"));
    ck_assert(fcgi_has_header(client, "Content-Type: text/event-stream"));
    ck_assert(fcgi_has_header(client, "X-Accel-Buffering: no"));
    ck_assert(fcgi_has_header(client, "Cache-Control: no-store"));
    ck_assert_str_eq(fcgi_body(client), "id: 7-1\nevent: delta\ndata: {\"text\":\"a\"}\n\n"
                                        ":\n\n"
                                        "id: 7-2\nevent: done\ndata: {}\n\n");
}
END_TEST

START_TEST(a_stream_that_fails_at_once_is_an_ordinary_error)
{
    response_stream_begin(r);
    error(ERR_UPSTREAM, "refused");
    support_until(app->loop, &client->ended);
    ck_assert_int_eq(fcgi_status(client), 502);
    ck_assert(fcgi_has_header(client, "Content-Type: application/problem+json"));
}
END_TEST

START_TEST(a_stream_that_fails_later_ends_in_an_error_event)
{
    const char *at;

    response_stream_begin(r);
    response_event(r, "1-1", "delta", "{}", 2);
    error(ERR_UPSTREAM, "cut");
    support_until(app->loop, &client->ended);
    ck_assert_int_eq(fcgi_status(client), 200);
    at = strstr(fcgi_body(client), "\n\nevent: error\ndata: {\"type\":\"/docs#upstream_failed\"");
    ck_assert_ptr_nonnull(at);
    ck_assert_str_eq(at + strlen(at) - 3, "}\n\n");
}
END_TEST

START_TEST(every_call_works_when_the_client_has_left)
{
    shutdown(client->fd, SHUT_RDWR);
    client->closed = true;
    conn_watch(r->conn);
    while (!conn_gone(r->conn))
        event_base_loop(conns.base, EVLOOP_ONCE);
    response_header(r, "X", "y");
    if (_i == 0) {
        response_bytes(r, 200, "text/plain", "x", 1);
    } else if (_i == 1) {
        error(ERR_INTERNAL, "x");
    } else {
        response_stream_begin(r);
        ck_assert(response_event(r, "1-1", "delta", "{}", 2));
        response_comment(r);
        if (_i == 2)
            response_end(r);
        else
            error(ERR_UPSTREAM, "x");
    }
}
END_TEST

static const struct { const char *list, *origin; const char *allowed; } origins[] = {
    { "https://a.example", "https://a.example", "https://a.example" },
    { "https://b.example, https://a.example", "https://a.example", "https://a.example" },
    { "https://b.example https://a.example", "https://a.example", "https://a.example" },
    { "*", "https://a.example", "https://a.example" },
    { "https://a.example", "https://a.example.evil", NULL },
    { "https://a.example", "https://a", NULL },
    { "https://a.example", "", NULL },
};

START_TEST(only_listed_origins_may_read_a_reply)
{
    char line[200];

    app->settings.server.cors_origins = (char *)origins[_i].list;
    r->headers[HEADER_ORIGIN] = origins[_i].origin;
    response_bytes(r, 200, "text/plain", "x", 1);
    support_until(app->loop, &client->ended);
    ck_assert(fcgi_has_header(client, "Vary: Origin"));
    snprintf(line, sizeof(line), "Access-Control-Allow-Origin: %s",
             origins[_i].allowed ? origins[_i].allowed : origins[_i].origin);
    ck_assert_int_eq(fcgi_has_header(client, line), origins[_i].allowed != NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("response");
    TCase *t = tcase_create("response");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_json_reply_carries_length_id_and_type);
    tcase_add_test(t, a_head_gets_the_length_but_no_body);
    tcase_add_test(t, a_body_that_could_not_be_built_is_500);
    tcase_add_loop_test(t, every_error_is_a_problem_object, ERR_BAD_REQUEST, ERR_COUNT);
    tcase_add_test(t, what_is_not_for_the_client_stays_in_the_log);
    tcase_add_test(t, a_faulty_field_is_named);
    tcase_add_loop_test(t, a_busy_answer_says_when_to_come_back, 0, 2);
    tcase_add_test(t, a_missing_key_is_asked_for);
    tcase_add_test(t, a_stream_sends_its_head_with_the_first_event);
    tcase_add_test(t, a_stream_that_fails_at_once_is_an_ordinary_error);
    tcase_add_test(t, a_stream_that_fails_later_ends_in_an_error_event);
    tcase_add_loop_test(t, every_call_works_when_the_client_has_left, 0, 4);
    tcase_add_loop_test(t, only_listed_origins_may_read_a_reply, 0,
                        sizeof(origins) / sizeof(origins[0]));
    suite_add_tcase(suite, t);
    return support_run(suite);
}
