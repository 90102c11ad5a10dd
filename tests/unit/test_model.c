/* Asking the model: one answer out of whatever a server does. */
#include <arpa/inet.h>
#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/chat/model.h"
#include "tests/unit/support.h"

/* A server that answers each request with the next reply of a script, and then does what the
 * reply says. The last reply serves all further requests. */

enum then { THEN_KEEP, THEN_CLOSE, THEN_RESET };
struct reply { const char *bytes; enum then then; };

static struct loop           *loop;
static struct evconnlistener *listener;
static struct bufferevent    *peer;             /* of the latest request; NULL once it left */
static const struct reply    *script;
static int   script_left, requests, left;       /* left: clients that went away */
static char *last_request;
static char  base_url[64];

static void on_peer_event(struct bufferevent *bev, short what, void *arg)
{
    (void)arg;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    if (bev == peer)
        peer = NULL;
    left++;
    bufferevent_free(bev);
}

static void on_all_written(struct bufferevent *bev, void *arg)
{
    const struct reply *r = arg;
    struct linger at_once = { 1, 0 };

    if (r->then == THEN_KEEP)
        return;
    if (r->then == THEN_RESET)
        setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    if (bev == peer)
        peer = NULL;
    bufferevent_free(bev);
}

static void on_readable(struct bufferevent *bev, void *arg);

static void answer(struct bufferevent *bev)
{
    const struct reply *r = script;

    requests++;
    peer = bev;
    if (script_left > 1) {
        script++;
        script_left--;
    }
    bufferevent_setcb(bev, on_readable, on_all_written, on_peer_event, (void *)(uintptr_t)r);
    bufferevent_write(bev, r->bytes, strlen(r->bytes));
    if (!r->bytes[0])
        on_all_written(bev, (void *)(uintptr_t)r);
}

/* The input as a string, to be freed. */
static char *peek(struct evbuffer *in)
{
    size_t len = evbuffer_get_length(in);
    char  *s = malloc(len + 1);

    evbuffer_copyout(in, s, len);
    s[len] = '\0';
    return s;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    char            *s = peek(in);
    const char      *body = strstr(s, "\r\n\r\n");
    size_t           whole;

    (void)arg;
    if (body) {
        whole = (size_t)(body + 4 - s) + strtoul(strcasestr(s, "content-length:") + 15, NULL, 10);
        if (strlen(s) >= whole) {
            evbuffer_drain(in, whole);
            free(last_request);
            last_request = s;
            answer(bev);
            return;
        }
    }
    free(s);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len,
                      void *arg)
{
    struct bufferevent *bev = bufferevent_socket_new(evconnlistener_get_base(l), fd,
                                                     BEV_OPT_CLOSE_ON_FREE);

    (void)from;
    (void)len;
    (void)arg;
    bufferevent_setcb(bev, on_readable, NULL, on_peer_event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void serve(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len = sizeof(at);

    listener = evconnlistener_new_bind(loop_base(loop), on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, -1,
                                       (struct sockaddr *)&at, sizeof(at));
    ck_assert_ptr_nonnull(listener);
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&at, &len);
    snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%d/v1", ntohs(at.sin_port));
}

static void server_says(const char *bytes)
{
    ck_assert_ptr_nonnull(peer);
    bufferevent_write(peer, bytes, strlen(bytes));
}

/* The asking side */

static struct settings    settings;
static struct model      *model;
static struct model_call *call;
static struct buf         heard;
static struct err         fault;
static char  finish[64], model_name[64];
static int64_t total_tokens;
static int   pieces, ends;
static int   pause_after, cancel_after;     /* so many pieces; 0 = never */
static bool  done;

static void on_text(void *arg, const char *text, size_t len)
{
    ck_assert_ptr_eq(arg, &call);
    ck_assert_uint_gt(len, 0);
    ck_assert_int_eq(ends, 0);
    buf_add(&heard, text, len);
    pieces++;
    if (pieces == pause_after)
        model_pause(call);
    if (pieces == cancel_after)
        model_cancel(call);
}

static void on_done(void *arg, const struct model_answer *a, const struct err *e)
{
    ck_assert_ptr_eq(arg, &call);
    ck_assert((a == NULL) == (e != NULL));
    if (a) {
        snprintf(finish, sizeof(finish), "%s", a->finish_reason);
        snprintf(model_name, sizeof(model_name), "%s", a->model);
        total_tokens = a->usage.total;
    } else {
        fault = *e;
    }
    ends++;
    done = true;
}

static const struct model_handlers handlers = { on_text, on_done };

static void setup(void)
{
    loop = loop_new();
    model = NULL;
    peer = NULL;
    last_request = NULL;
    serve();
    memset(&settings, 0, sizeof(settings));
    settings.model.base_url = base_url;
    settings.model.base_url_given = true;
    settings.model.api_key = "sk-test";
    settings.model.name = "m";
    settings.model.auth_header = "Authorization";
    settings.model.token_limit_field = "max_completion_tokens";
    settings.model.temperature = "";
    settings.model.system_role = "system";
    settings.model.ca_file = "";
    settings.model.connect_timeout = 5000;
    settings.model.first_token_timeout = 10000;
    settings.model.idle_timeout = 10000;
    settings.model.turn_timeout = 15000;
    settings.model.retries = 2;
    settings.model.retry_after_max = 10000;
    settings.model.max_answer = 1000;
    buf_init(&heard, 1 << 16);
    fault = ERR_NONE;
    requests = left = pieces = ends = pause_after = cancel_after = 0;
    done = false;
}

static void teardown(void)
{
    model_free(model);
    evconnlistener_free(listener);
    if (peer)
        bufferevent_free(peer);
    free(last_request);
    buf_close(&heard);
    loop_free(loop);
}

static void ask(const struct reply *replies, int count)
{
    struct model_question q = { .system = "s", .user = "u", .user_len = 1 };
    struct err e = ERR_NONE;

    script = replies;
    script_left = count;
    if (!model)
        ck_assert_msg(model_new(loop, &settings, &model, &e) == ERR_OK, "%s", e.detail);
    done = false;
    ends = 0;
    call = model_ask(model, &q, &handlers, &call);
    ck_assert_ptr_nonnull(call);
    ck_assert_int_eq(ends, 0);
}

static void ask_to_the_end(const struct reply *replies, int count)
{
    ask(replies, count);
    support_until(loop, &done);
}

#define ASK(replies) ask(replies, sizeof(replies) / sizeof(*(replies)))
#define ASK_TO_THE_END(replies) ask_to_the_end(replies, sizeof(replies) / sizeof(*(replies)))

static void no_second_end(void)
{
    support_turn(loop, 20);
    ck_assert_int_eq(ends, 1);
}

/* What servers send. Without a length the end of the connection is the end of the body. */

#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define STREAM      STREAM_HEAD "\r\n"
#define DELTA(text) "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":" \
    "{\"content\":\"" text "\"}}]}\n\n"
#define STOP        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}" \
    "\n\n"
#define USAGE       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":" \
    "2,\"total_tokens\":3}}\n\n"
#define DONE        "data: [DONE]\n\n"
#define WHOLE       STREAM DELTA("Hel") DELTA("lo") STOP USAGE DONE
#define CHUNKED     STREAM_HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define FAULT(status, headers, body) \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n" \
    headers "\r\n" body

static void heard_hello(void)
{
    ck_assert_msg(fault.code == ERR_OK, "%s", fault.detail);
    ck_assert_str_eq(heard.data, "Hello");
    ck_assert_str_eq(finish, "stop");
    no_second_end();
}

START_TEST(the_answer_comes_in_its_pieces_and_then_its_end)
{
    static const struct reply replies[] = { { WHOLE, THEN_CLOSE } };

    ASK_TO_THE_END(replies);
    heard_hello();
    ck_assert_int_eq(pieces, 2);
    ck_assert_str_eq(model_name, "m-1");
    ck_assert_int_eq(total_tokens, 3);
}
END_TEST

START_TEST(the_request_is_a_post_with_key_type_and_length)
{
    static const struct reply replies[] = { { WHOLE, THEN_CLOSE } };

    ASK_TO_THE_END(replies);
    ck_assert_ptr_eq(strstr(last_request, "POST /v1/chat/completions HTTP/1.1\r\n"), last_request);
    ck_assert_ptr_nonnull(strstr(last_request, "\r\nAuthorization: Bearer sk-test\r\n"));
    ck_assert_ptr_nonnull(strstr(last_request, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(last_request, "\r\nAccept: text/event-stream\r\n"));
    ck_assert_ptr_null(strcasestr(last_request, "\r\nExpect:"));
    ck_assert_ptr_nonnull(strstr(last_request, "{\"role\":\"user\",\"content\":\"u\"}"));
}
END_TEST

START_TEST(another_auth_header_has_the_bare_key_and_no_key_no_header)
{
    static const struct reply replies[] = { { WHOLE, THEN_CLOSE } };

    settings.model.auth_header = "api-key";
    ASK_TO_THE_END(replies);
    ck_assert_ptr_nonnull(strstr(last_request, "\r\napi-key: sk-test\r\n"));
    model_free(model);
    model = NULL;
    settings.model.api_key = "";
    ASK_TO_THE_END(replies);
    ck_assert_ptr_null(strstr(last_request, "\r\napi-key"));
}
END_TEST

/* After the finish reason any end will do. */
static const struct reply still_whole[][1] = {
    { { STREAM DELTA("Hello") STOP, THEN_CLOSE } },
    { { STREAM DELTA("Hello") STOP USAGE, THEN_CLOSE } },
    { { STREAM DELTA("Hello") STOP "data: [DONE]", THEN_CLOSE } },
    { { CHUNKED "fff\r\n" DELTA("Hello") STOP, THEN_CLOSE } },
    { { STREAM DELTA("Hello") STOP DONE "data: {\"error\":\"late\"}\n\n", THEN_CLOSE } },
    { { STREAM DELTA("Hello") STOP DONE, THEN_KEEP } },
    { { STREAM "data: {\"choices\":[]}\n\n" DELTA("Hello") STOP, THEN_CLOSE } },
    { { STREAM ":\n\n: keep-alive\n\n" DELTA("Hello") ":\n\n" STOP, THEN_CLOSE } },
    { { "HTTP/1.1 200 OK\r\n\r\n" DELTA("Hello") STOP, THEN_CLOSE } },
    { { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"choices\":[{\"index\":0,"
        "\"message\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}", THEN_CLOSE } },
};

START_TEST(an_answer_with_a_finish_reason_is_whole)
{
    ask_to_the_end(still_whole[_i], 1);
    heard_hello();
    ck_assert_int_eq(requests, 1);
}
END_TEST

static const struct { struct reply reply; enum err_code code; const char *why; } not_whole[] = {
    { { STREAM DELTA("Hel"), THEN_CLOSE }, ERR_UPSTREAM, "without a finish reason" },
    { { STREAM DELTA("Hel") DONE, THEN_CLOSE }, ERR_UPSTREAM, "without a finish reason" },
    { { STREAM DELTA("Hel"), THEN_RESET }, ERR_UPSTREAM, "cut" },
    { { CHUNKED "fff\r\n" DELTA("Hel"), THEN_CLOSE }, ERR_UPSTREAM, "cut" },
    { { STREAM DELTA("Hel") "data: {\"choi", THEN_CLOSE }, ERR_UPSTREAM, "not JSON" },
    { { STREAM DELTA("Hel") "data: {\"error\":{\"message\":\"boom\"}}\n\n" DONE, THEN_CLOSE },
      ERR_UPSTREAM, "boom" },
    { { STREAM DELTA("Hel") "data: {\"error\":\"boom\"}\n\n", THEN_KEEP }, ERR_UPSTREAM, "boom" },
    { { STREAM DELTA("Hel") "event: error\ndata: {\"message\":\"boom\"}\n\n", THEN_KEEP },
      ERR_UPSTREAM, "boom" },
    { { STREAM DELTA("Hel") "error: {\"message\":\"boom\"}\n\n", THEN_CLOSE },
      ERR_UPSTREAM, "without a finish reason" },
    { { STREAM "data: {\"error\":{\"code\":\"slow_down\"}}\n\n", THEN_CLOSE },
      ERR_UPSTREAM_BUSY, "slow_down" },
    { { STREAM, THEN_CLOSE }, ERR_UPSTREAM, "without a body" },
    { { STREAM ":\n\n", THEN_CLOSE }, ERR_UPSTREAM, "without a finish reason" },
    { { "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Log in</html>", THEN_CLOSE },
      ERR_UPSTREAM, "HTML" },
    { { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"choices\":[", THEN_CLOSE },
      ERR_UPSTREAM, "not JSON" },
    { { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"error\":\"boom\"}",
      THEN_CLOSE },
      ERR_UPSTREAM, "boom" },
};

START_TEST(an_answer_without_a_finish_reason_is_an_error_and_is_not_asked_for_again)
{
    ask_to_the_end(&not_whole[_i].reply, 1);
    ck_assert_msg(fault.code == not_whole[_i].code, "%s: %s", err_name(fault.code), fault.detail);
    ck_assert_msg(strstr(fault.detail, not_whole[_i].why) != NULL, "%s", fault.detail);
    ck_assert_int_eq(requests, 1);
    no_second_end();
}
END_TEST

START_TEST(an_answer_beyond_its_maximum_is_an_error)
{
    static const struct reply replies[] = { { STREAM DELTA("Hello") DELTA("Hello"), THEN_KEEP } };

    settings.model.max_answer = 9;
    ASK_TO_THE_END(replies);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM);
    ck_assert_str_eq(heard.data, "Hello");
}
END_TEST

START_TEST(a_compressed_answer_is_an_error)
{
    static const struct reply replies[] = {
        { STREAM_HEAD "Content-Encoding: gzip\r\n\r\n\x1f\x8b", THEN_CLOSE },
    };

    settings.model.retries = 0;
    ASK_TO_THE_END(replies);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM);
    ck_assert_ptr_nonnull(strstr(fault.detail, "compressed"));
}
END_TEST

START_TEST(a_compressed_error_is_told_by_its_status)
{
    static const struct reply replies[] = {
        { "HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b", THEN_CLOSE },
    };

    settings.model.retries = 0;
    ASK_TO_THE_END(replies);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM_BUSY);
    ck_assert_int_eq(fault.retry_after, 7);
}
END_TEST

/* Faults that pass */

static const struct reply passing[][2] = {
    { { FAULT("429 Slow", "Retry-After-Ms: 5\r\n", "{}"), THEN_CLOSE }, { WHOLE, THEN_CLOSE } },
    { { FAULT("503 Busy", "Retry-After: 0\r\n", ""), THEN_CLOSE }, { WHOLE, THEN_CLOSE } },
    { { FAULT("500 Oops", "Retry-After-Ms: 1\r\n", "<html>"), THEN_CLOSE }, { WHOLE, THEN_CLOSE } },
    { { FAULT("400 Bad", "X-Should-Retry: true\r\nRetry-After-Ms: 1\r\n", "{}"), THEN_CLOSE },
      { WHOLE, THEN_CLOSE } },
    { { "", THEN_CLOSE }, { WHOLE, THEN_CLOSE } },
    { { "", THEN_RESET }, { WHOLE, THEN_CLOSE } },
    { { STREAM, THEN_RESET }, { WHOLE, THEN_CLOSE } },
    { { "rubbish, and not HTTP\r\n\r\n", THEN_CLOSE }, { WHOLE, THEN_CLOSE } },
};

START_TEST(a_fault_that_may_pass_is_tried_again)
{
    ask_to_the_end(passing[_i], 2);
    heard_hello();
    ck_assert_int_eq(requests, 2);
    ck_assert_ptr_nonnull(strstr(last_request, "{\"role\":\"user\",\"content\":\"u\"}]}"));
}
END_TEST

static const struct { struct reply reply; enum err_code code; } lasting[] = {
    { { FAULT("401 No", "", "{\"error\":{\"code\":\"invalid_api_key\"}}"), THEN_CLOSE },
      ERR_UPSTREAM_REFUSED },
    { { FAULT("429 No", "Retry-After-Ms: 1\r\n", "{\"error\":{\"type\":\"insufficient_quota\"}"
      "}"), THEN_CLOSE },
      ERR_UPSTREAM_QUOTA },
    { { FAULT("429 No", "Retry-After-Ms: 1\r\n", "{\"error\":\"Request too large for m\"}"),
      THEN_CLOSE },
      ERR_UPSTREAM_REFUSED },
    { { FAULT("500 No", "X-Should-Retry: false\r\n", ""), THEN_CLOSE }, ERR_UPSTREAM },
    { { FAULT("302 Found", "Location: /\r\n", ""), THEN_CLOSE }, ERR_UPSTREAM_REFUSED },
    { { FAULT("429 Later", "Retry-After: 11\r\n", ""), THEN_CLOSE }, ERR_UPSTREAM_BUSY },
};

START_TEST(a_fault_that_lasts_is_not_tried_again)
{
    ask_to_the_end(&lasting[_i].reply, 1);
    ck_assert_msg(fault.code == lasting[_i].code, "%s: %s", err_name(fault.code), fault.detail);
    ck_assert_int_eq(requests, 1);
    ck_assert_ptr_null(strstr(fault.detail, "sk-test"));
    no_second_end();
}
END_TEST

START_TEST(the_tries_have_an_end_and_the_last_fault_is_told)
{
    static const struct reply replies[] = {
        { FAULT("429 Slow", "Retry-After-Ms: 1\r\n", ""), THEN_CLOSE },
        { FAULT("500 Oops", "Retry-After-Ms: 1\r\n", ""), THEN_CLOSE },
        { FAULT("503 Busy", "Retry-After: 7\r\n", ""), THEN_CLOSE },
    };

    ASK_TO_THE_END(replies);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM_BUSY);
    ck_assert_int_eq(fault.retry_after, 7);
    ck_assert_int_eq(requests, 3);
}
END_TEST

START_TEST(no_retries_means_one_try)
{
    static const struct reply replies[] = {
        { FAULT("500 Oops", "Retry-After-Ms: 1\r\n", ""), THEN_CLOSE },
    };

    settings.model.retries = 0;
    ASK_TO_THE_END(replies);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM);
    ck_assert_int_eq(requests, 1);
}
END_TEST

START_TEST(a_delay_beyond_the_turns_time_is_not_waited_for)
{
    static const struct reply replies[] = {
        { FAULT("503 Busy", "Retry-After: 5\r\n", ""), THEN_CLOSE },
    };
    int64_t begun = clock_ms();

    settings.model.turn_timeout = 4000;
    ASK_TO_THE_END(replies);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM_BUSY);
    ck_assert_int_eq(fault.retry_after, 5);
    ck_assert_int_lt(clock_ms() - begun, 3000);
}
END_TEST

START_TEST(a_refused_connection_is_an_error_after_its_tries)
{
    settings.model.retries = 1;
    snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%d/v1", support_free_port());
    ask_to_the_end(NULL, 0);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM);
    no_second_end();
}
END_TEST

START_TEST(an_error_whose_body_never_ends_is_judged_by_its_status)
{
    static const struct reply replies[] = {
        { "HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n{", THEN_KEEP },
    };

    settings.model.turn_timeout = 200;
    ASK_TO_THE_END(replies);
    ck_assert_msg(fault.code == ERR_UPSTREAM_REFUSED, "%s", fault.detail);
}
END_TEST

/* Time */

static const struct reply silent[][1] = {
    { { "", THEN_KEEP } },
    { { STREAM, THEN_KEEP } },
    { { STREAM ": keep-alive\n\n", THEN_KEEP } },
    { { STREAM ": keep-alive\n\ndata: {\"choices\":[", THEN_KEEP } },
};

START_TEST(without_a_first_token_in_time_it_is_too_slow_and_not_tried_again)
{
    settings.model.first_token_timeout = 60;
    ask_to_the_end(silent[_i], 1);
    ck_assert_msg(fault.code == ERR_UPSTREAM_SLOW, "%s", fault.detail);
    support_until_count(loop, &left, 1);
    ck_assert_int_eq(requests, 1);
    no_second_end();
}
END_TEST

static const struct reply falling_silent[][1] = {
    { { STREAM DELTA("Hel"), THEN_KEEP } },
    { { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"choices\":", THEN_KEEP } },
};

START_TEST(silence_within_an_answer_is_too_slow)
{
    settings.model.idle_timeout = 60;
    ask_to_the_end(falling_silent[_i], 1);
    ck_assert_msg(fault.code == ERR_UPSTREAM_SLOW, "%s", fault.detail);
    support_until_count(loop, &left, 1);
    ck_assert_int_eq(requests, 1);
}
END_TEST

START_TEST(the_idle_time_counts_from_the_first_token_and_any_byte_starts_it_anew)
{
    static const struct reply replies[] = { { STREAM, THEN_KEEP } };
    int64_t begun;

    settings.model.idle_timeout = 300;
    ASK(replies);
    support_until_count(loop, &requests, 1);
    support_turn(loop, 400);        /* more than idle, less than the first token's time */
    server_says(DELTA("Hel"));
    support_until_count(loop, &pieces, 1);
    for (begun = clock_ms(); clock_ms() - begun < 500; support_turn(loop, 20))
        server_says(":\n\n");
    ck_assert_int_eq(ends, 0);
    pause_after = 2;
    server_says(DELTA("l"));
    support_until_count(loop, &pieces, 2);
    support_turn(loop, 600);        /* paused time is nobody's silence */
    ck_assert_int_eq(ends, 0);
    model_resume(call);
    support_turn(loop, 150);
    ck_assert_int_eq(ends, 0);
    server_says(DELTA("o") STOP DONE);
    support_until(loop, &done);
    heard_hello();
}
END_TEST

START_TEST(the_turn_has_an_end_however_much_the_server_says)
{
    static const struct reply replies[] = { { STREAM DELTA("Hel"), THEN_KEEP } };

    settings.model.turn_timeout = 100;
    ASK(replies);
    while (!done) {
        if (peer)
            server_says(": alive\n\n");
        support_turn(loop, 10);
    }
    ck_assert_msg(fault.code == ERR_UPSTREAM_SLOW, "%s", fault.detail);
}
END_TEST

/* Pausing and cancelling */

START_TEST(while_paused_no_text_comes_not_even_of_what_is_here_already)
{
    static const struct reply replies[] = { { STREAM DELTA("Hel") DELTA("l"), THEN_KEEP } };

    pause_after = 1;
    ASK(replies);
    support_until_count(loop, &pieces, 1);
    server_says(DELTA("o") STOP);
    support_turn(loop, 30);
    ck_assert_str_eq(heard.data, "Hel");
    pause_after = 2;
    model_resume(call);
    ck_assert_int_eq(pieces, 1);
    support_until_count(loop, &pieces, 2);
    support_turn(loop, 30);
    ck_assert_str_eq(heard.data, "Hell");
    model_resume(call);
    server_says(DONE);
    support_until(loop, &done);
    heard_hello();
}
END_TEST

START_TEST(an_answer_that_ended_while_paused_is_told_after_resume)
{
    static const struct reply replies[] = { { WHOLE, THEN_CLOSE } };

    pause_after = 1;
    ASK(replies);
    support_until_count(loop, &pieces, 1);
    support_turn(loop, 30);
    ck_assert_int_eq(ends, 0);
    model_pause(call);
    model_resume(call);
    model_pause(call);
    support_turn(loop, 30);
    ck_assert_int_eq(pieces, 1);
    model_resume(call);
    model_resume(call);
    support_until(loop, &done);
    heard_hello();
}
END_TEST

START_TEST(a_pause_before_the_answer_holds_too)
{
    static const struct reply replies[] = {
        { FAULT("500 Oops", "Retry-After-Ms: 1\r\n", ""), THEN_CLOSE }, { WHOLE, THEN_CLOSE },
    };

    settings.model.first_token_timeout = 50;
    ASK(replies);
    model_pause(call);
    support_turn(loop, 150);
    ck_assert_int_eq(pieces + ends, 0);
    model_resume(call);
    support_until(loop, &done);
    heard_hello();
}
END_TEST

START_TEST(a_pause_does_not_hold_what_an_error_says)
{
    static const struct reply replies[] = {
        { FAULT("429 No", "", "{\"error\":{\"code\":\"insufficient_quota\"}}"), THEN_CLOSE },
    };

    ASK(replies);
    model_pause(call);
    support_until(loop, &done);
    ck_assert_msg(fault.code == ERR_UPSTREAM_QUOTA, "%s", fault.detail);
    ck_assert_int_eq(requests, 1);
}
END_TEST

/* More than the buffers of two sockets hold. */
static void server_says_16_mib(void)
{
    size_t size = 16 << 20;
    char  *comment = malloc(size);

    memset(comment, ':', size);
    bufferevent_write(peer, comment, size);
    free(comment);
}

START_TEST(while_paused_tcp_holds_the_server) /* 0: within an answer, 1: before it */
{
    static const struct reply replies[] = {
        { FAULT("500 Oops", "Retry-After-Ms: 50\r\n", ""), THEN_CLOSE },
        { STREAM DELTA("Hel"), THEN_KEEP },
    };

    pause_after = 1;
    if (_i == 0) {
        ask(replies + 1, 1);
        support_until_count(loop, &pieces, 1);
    } else {
        ask(replies, 2);
        support_until_count(loop, &requests, 1);
        support_turn(loop, 20);
        model_pause(call);
        support_until_count(loop, &requests, 2);
    }
    server_says_16_mib();
    support_turn(loop, 300);
    ck_assert_int_eq(ends, 0);
    ck_assert_ptr_nonnull(peer);
    ck_assert_uint_gt(evbuffer_get_length(bufferevent_get_output(peer)), 0);
}
END_TEST

static const struct reply untaken[][1] = {
    { { WHOLE, THEN_CLOSE } },
    { { STREAM DELTA("Hel") DELTA("lo"), THEN_RESET } },
    { { STREAM DELTA("Hello"), THEN_KEEP } },
    { { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"choices\":[{\"index\":0,"
        "\"message\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}", THEN_CLOSE } },
};

START_TEST(a_pause_does_not_outlast_the_turn)
{
    settings.model.turn_timeout = 150;
    pause_after = 1;
    ask_to_the_end(untaken[_i], 1);
    ck_assert_int_ne(fault.code, ERR_OK);
    no_second_end();
}
END_TEST

START_TEST(a_pause_after_the_end_of_the_response_does_not_outlast_the_turn)
{
    static const struct reply replies[] = {
        { STREAM DELTA("H") DELTA("e") DELTA("llo") STOP, THEN_CLOSE },
    };

    settings.model.turn_timeout = 200;
    pause_after = 1;
    ASK(replies);
    support_until_count(loop, &pieces, 1);
    support_turn(loop, 50);
    pause_after = 2;
    model_resume(call);
    support_until(loop, &done);
    ck_assert_int_eq(fault.code, ERR_UPSTREAM_SLOW);
    ck_assert_int_eq(pieces, 2);
    no_second_end();
}
END_TEST

static const struct reply cancelled[][1] = {
    { { "", THEN_KEEP } },
    { { STREAM, THEN_KEEP } },
    { { STREAM DELTA("Hel"), THEN_KEEP } },
    { { FAULT("500 Oops", "Content-Length: 100\r\n", "{"), THEN_KEEP } },
    { { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"choices\":", THEN_KEEP } },
};

START_TEST(a_cancelled_call_says_nothing_more_and_leaves_the_server)
{
    ask(cancelled[_i], 1);
    support_until_count(loop, &requests, 1);
    support_turn(loop, 20);
    model_cancel(call);
    support_until_count(loop, &left, 1);
    support_turn(loop, 20);
    ck_assert_int_eq(ends, 0);
}
END_TEST

START_TEST(a_call_can_be_cancelled_before_it_went_out_and_while_it_waits)
{
    static const struct reply replies[] = {
        { FAULT("500 Oops", "Retry-After: 3\r\n", ""), THEN_CLOSE },
    };

    ASK(replies);
    model_cancel(call);
    ASK(replies);
    support_until_count(loop, &requests, 1);
    support_turn(loop, 50);
    model_cancel(call);
    support_turn(loop, 20);
    ck_assert_int_eq(ends, 0);
    model_cancel(NULL);
}
END_TEST

START_TEST(a_call_can_be_cancelled_from_within_its_own_text)
{
    static const struct reply replies[] = { { WHOLE, THEN_CLOSE } };

    cancel_after = 1;
    ASK(replies);
    support_until_count(loop, &pieces, 1);
    support_turn(loop, 30);
    ck_assert_int_eq(pieces, 1);
    ck_assert_int_eq(ends, 0);
}
END_TEST

START_TEST(a_call_can_be_cancelled_while_its_last_text_is_held)
{
    static const struct reply replies[] = { { WHOLE, THEN_CLOSE } };

    pause_after = 1;
    ASK(replies);
    support_until_count(loop, &pieces, 1);
    support_turn(loop, 30);
    model_cancel(call);
    support_turn(loop, 30);
    ck_assert_int_eq(ends, 0);
}
END_TEST

START_TEST(freeing_the_model_ends_its_calls_without_a_word)
{
    static const struct reply replies[] = { { STREAM DELTA("Hel"), THEN_KEEP } };

    ASK(replies);
    support_until_count(loop, &pieces, 1);
    model_free(model);
    model = NULL;
    support_until_count(loop, &left, 1);
    ck_assert_int_eq(ends, 0);
}
END_TEST

/* Settings */

static const struct { const char *url, *key, *header, *temperature, *why; } wrong[] = {
    { "ftp://h/v1", "k", "Authorization", "", "URL" },
    { "http://h/ v1", "k", "Authorization", "", "URL" },
    { "http://h", "k\r\nX: y", "Authorization", "", "key" },
    { "http://h", "k", "Auth: x", "", "auth_header" },
    { "http://h", "k", "", "", "auth_header" },
    { "http://h", "k", "Authorization", "warm", "temperature" },
    { "http://h", "k", "Authorization", "inf", "temperature" },
};

START_TEST(settings_that_cannot_work_are_named)
{
    struct err e = ERR_NONE;

    settings.model.base_url = (char *)(uintptr_t)wrong[_i].url;
    settings.model.api_key = (char *)(uintptr_t)wrong[_i].key;
    settings.model.auth_header = (char *)(uintptr_t)wrong[_i].header;
    settings.model.temperature = (char *)(uintptr_t)wrong[_i].temperature;
    ck_assert_int_eq(model_new(loop, &settings, &model, &e), ERR_INVALID);
    ck_assert_msg(strstr(e.detail, wrong[_i].why) != NULL, "%s", e.detail);
    ck_assert_ptr_null(model);
}
END_TEST

static const struct { const char *url, *described; } described[] = {
    { "https://api.openai.com/v1", "m at https://api.openai.com/v1" },
    { "http://user:pass@h:80/v1/x@y?key=secret", "m at http://h:80/v1/x@y" },
    { "https://h?key=a@b", "m at https://h" },
};

START_TEST(its_description_holds_no_secret)
{
    settings.model.base_url = (char *)(uintptr_t)described[_i].url;
    ck_assert_int_eq(model_new(loop, &settings, &model, NULL), ERR_OK);
    ck_assert_str_eq(model_describe(model), described[_i].described);
    ck_assert(!model_is_demo(model));
}
END_TEST

START_TEST(without_key_and_url_the_demo_model_answers_if_it_may)
{
    settings.model.base_url_given = false;
    settings.model.api_key = "";
    ck_assert_int_eq(model_new(loop, &settings, &model, &fault), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(fault.detail, "OPENAI_API_KEY"));
    settings.model.demo = DEMO_FALLBACK;
    pause_after = 2;
    ask(NULL, 0);
    ck_assert(model_is_demo(model));
    ck_assert_str_eq(model_describe(model), "the demo model");
    support_until_count(loop, &pieces, 2);
    support_turn(loop, 20);
    ck_assert_int_eq(pieces, 2);
    model_resume(call);
    support_until(loop, &done);
    ck_assert_str_eq(finish, "stop");
    ck_assert_ptr_nonnull(strstr(heard.data, "demo model"));
    pieces = ends = 0;
    ask(NULL, 0);
    model_cancel(call);
    support_turn(loop, 20);
    ck_assert_int_eq(pieces + ends, 0);
}
END_TEST

#define LOOP(t, test, table) tcase_add_loop_test(t, test, 0, sizeof(table) / sizeof(*(table)))

static void add_answers(Suite *suite)
{
    TCase *t = tcase_create("answers");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_answer_comes_in_its_pieces_and_then_its_end);
    tcase_add_test(t, the_request_is_a_post_with_key_type_and_length);
    tcase_add_test(t, another_auth_header_has_the_bare_key_and_no_key_no_header);
    LOOP(t, an_answer_with_a_finish_reason_is_whole, still_whole);
    LOOP(t, an_answer_without_a_finish_reason_is_an_error_and_is_not_asked_for_again, not_whole);
    tcase_add_test(t, an_answer_beyond_its_maximum_is_an_error);
    tcase_add_test(t, a_compressed_answer_is_an_error);
    tcase_add_test(t, a_compressed_error_is_told_by_its_status);
    suite_add_tcase(suite, t);
}

static void add_faults(Suite *suite)
{
    TCase *t = tcase_create("faults");

    tcase_add_checked_fixture(t, setup, teardown);
    LOOP(t, a_fault_that_may_pass_is_tried_again, passing);
    LOOP(t, a_fault_that_lasts_is_not_tried_again, lasting);
    tcase_add_test(t, the_tries_have_an_end_and_the_last_fault_is_told);
    tcase_add_test(t, no_retries_means_one_try);
    tcase_add_test(t, a_delay_beyond_the_turns_time_is_not_waited_for);
    tcase_add_test(t, a_refused_connection_is_an_error_after_its_tries);
    tcase_add_test(t, an_error_whose_body_never_ends_is_judged_by_its_status);
    LOOP(t, without_a_first_token_in_time_it_is_too_slow_and_not_tried_again, silent);
    LOOP(t, silence_within_an_answer_is_too_slow, falling_silent);
    tcase_add_test(t, the_idle_time_counts_from_the_first_token_and_any_byte_starts_it_anew);
    tcase_add_test(t, the_turn_has_an_end_however_much_the_server_says);
    suite_add_tcase(suite, t);
}

static void add_calls(Suite *suite)
{
    TCase *t = tcase_create("calls");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, while_paused_no_text_comes_not_even_of_what_is_here_already);
    tcase_add_test(t, an_answer_that_ended_while_paused_is_told_after_resume);
    tcase_add_test(t, a_pause_before_the_answer_holds_too);
    tcase_add_test(t, a_pause_does_not_hold_what_an_error_says);
    tcase_add_loop_test(t, while_paused_tcp_holds_the_server, 0, 2);
    LOOP(t, a_pause_does_not_outlast_the_turn, untaken);
    tcase_add_test(t, a_pause_after_the_end_of_the_response_does_not_outlast_the_turn);
    LOOP(t, a_cancelled_call_says_nothing_more_and_leaves_the_server, cancelled);
    tcase_add_test(t, a_call_can_be_cancelled_before_it_went_out_and_while_it_waits);
    tcase_add_test(t, a_call_can_be_cancelled_from_within_its_own_text);
    tcase_add_test(t, a_call_can_be_cancelled_while_its_last_text_is_held);
    tcase_add_test(t, freeing_the_model_ends_its_calls_without_a_word);
    LOOP(t, settings_that_cannot_work_are_named, wrong);
    LOOP(t, its_description_holds_no_secret, described);
    tcase_add_test(t, without_key_and_url_the_demo_model_answers_if_it_may);
    suite_add_tcase(suite, t);
}

int main(void)
{
    Suite *suite = suite_create("model");

    add_answers(suite);
    add_faults(suite);
    add_calls(suite);
    return support_run(suite);
}
