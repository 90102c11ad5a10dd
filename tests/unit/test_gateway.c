/* The gateway and its connections, spoken to in FastCGI records over a unix socket. */
#include <check.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fcgi/conn.h"
#include "fcgi/gateway.h"
#include "fcgi/response.h"
#include "lib/io/pool.h"
#include "tests/unit/fcgi_client.h"
#include "tests/unit/support.h"

static struct app *app;
static char path[200];
static int listen_fd;
static bool idle;

/* What the route saw. */
static int routed, gone, drained;
static size_t body_len;
static struct request *held[4096];
static int held_count;

static void on_gone(void *arg)
{
    struct request *r = arg;

    gone++;
    for (int i = 0; i < held_count; i++)
        if (held[i] == r)
            held[i] = NULL;
    response_end(r);
}

static void on_drained(void *arg)
{
    (void)arg;
    drained++;
}

/* /echo answers with the body; anything else is held until the test or the client ends it. */
static void route(struct request *r)
{
    if (!gateway_take_place(r))
        return;
    routed++;
    body_len = r->body_len;
    if (strcmp(r->target, "/echo") == 0) {
        response_bytes(r, 200, "text/plain", r->body ? r->body : "", r->body_len);
        return;
    }
    r->on_gone = on_gone;
    r->on_drained = on_drained;
    r->arg = r;
    request_drop_body(r);
    held[held_count++] = r;
}

static void setup(void)
{
    app = fcgi_app();
    routed = gone = drained = held_count = 0;
    idle = false;
    snprintf(path, sizeof(path), "%s/sock", support_dir());
    listen_fd = fcgi_listen(path);
    app->gateway = gateway_new(app, listen_fd, route);
    ck_assert_ptr_nonnull(app->gateway);
}

static bool nobody_left(void *arg)
{
    (void)arg;
    return gateway_active(app->gateway) == 0;
}

static void teardown(void)
{
    for (int i = 0; i < held_count; i++)
        if (held[i])
            response_end(held[i]);
    support_until_true(app->loop, nobody_left, NULL);
    gateway_free(app->gateway);
    close(listen_fd);
    unlink(path);
    fcgi_app_free(app);
}

static struct fcgi_client *ask(const char *uri, const char *body, size_t len)
{
    struct fcgi_client *c = fcgi_connect(app->loop, path);

    fcgi_ask(c, "POST", uri, NULL, body, len);
    return c;
}

static char *text_of(size_t len)
{
    char *text = malloc(len + 1);

    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i % 26);
    text[len] = '\0';
    return text;
}

static const size_t sizes[] = { 0, 1, 8191, 20 << 10, 65535, 65536, 200 << 10, 1 << 20 };

START_TEST(a_body_of_any_size_goes_in_and_out_unharmed)
{
    size_t len = sizes[_i];
    char *text = text_of(len);
    struct fcgi_client *c = ask("/echo", text, len);

    support_until(app->loop, &c->ended);
    ck_assert_int_eq(fcgi_status(c), 200);
    ck_assert_uint_eq(body_len, len);
    ck_assert_str_eq(fcgi_body(c), text);
    support_until(app->loop, &c->closed);
    fcgi_leave(c);
    free(text);
}
END_TEST

START_TEST(a_short_reply_is_one_record_and_the_connection_ends)
{
    struct fcgi_client *c = ask("/echo", "hi", 2);

    support_until(app->loop, &c->closed);
    ck_assert(c->ended);
    ck_assert_int_eq(c->records, 1);
    fcgi_leave(c);
}
END_TEST

static struct fcgi_client *ask_and_keep(const char *uri, const char *body, size_t len)
{
    struct fcgi_client *c = fcgi_connect(app->loop, path);

    c->keep = true;
    fcgi_ask(c, "POST", uri, NULL, body, len);
    return c;
}

static bool kept(struct fcgi_client *c)
{
    support_turn(app->loop, 20);
    return c->ended && !c->closed;
}

START_TEST(a_kept_connection_carries_one_request_after_the_other)
{
    struct fcgi_client *c = ask_and_keep("/echo", "hi", 2);
    char text[] = "request 00000";

    support_until(app->loop, &c->ended);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *body = text_of(sizes[i]);

        fcgi_ask(c, "POST", "/echo", NULL, body, sizes[i]);
        support_until(app->loop, &c->ended);
        ck_assert_int_eq(fcgi_status(c), 200);
        ck_assert_str_eq(fcgi_body(c), body);
        free(body);
    }
    for (int i = 0; i < 1000; i++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "request %d", i);

        fcgi_ask(c, "POST", "/echo", NULL, text, len);
        support_until(app->loop, &c->ended);
        ck_assert_str_eq(fcgi_body(c), text);
    }
    ck_assert(kept(c));
    c->keep = false;
    fcgi_ask(c, "POST", "/echo", NULL, "the last", 8);
    support_until(app->loop, &c->closed);
    ck_assert_str_eq(fcgi_body(c), "the last");
    fcgi_leave(c);
}
END_TEST

START_TEST(a_refused_request_leaves_its_connection_fit_for_the_next)
{
    char *text = text_of((1 << 20) + 1);
    struct fcgi_client *c = ask_and_keep("/echo", text, (1 << 20) + 1);

    support_until(app->loop, &c->ended);
    ck_assert_int_eq(fcgi_status(c), 413);
    app->settings.server.max_requests = 0;
    fcgi_ask(c, "POST", "/echo", NULL, text, 30000);
    support_until(app->loop, &c->ended);
    ck_assert_int_eq(fcgi_status(c), 503);
    app->settings.server.max_requests = 1;
    fcgi_ask(c, "POST", "/echo", NULL, "hi", 2);
    support_until(app->loop, &c->ended);
    ck_assert_int_eq(fcgi_status(c), 200);
    fcgi_leave(c);
    free(text);
}
END_TEST

START_TEST(a_kept_connection_without_a_request_takes_no_place)
{
    struct fcgi_client *c[3];

    app->settings.server.max_requests = 1;
    for (int i = 0; i < 3; i++) {
        c[i] = ask_and_keep("/echo", "hi", 2);
        support_until(app->loop, &c[i]->ended);
        ck_assert_int_eq(fcgi_status(c[i]), 200);
        ck_assert_uint_eq(gateway_active(app->gateway), 0);
    }
    for (int i = 0; i < 3; i++)
        fcgi_leave(c[i]);
}
END_TEST

START_TEST(who_leaves_a_kept_connection_between_or_within_requests_is_noticed)
{
    struct fcgi_client *between = ask_and_keep("/echo", "hi", 2);
    struct fcgi_client *within = ask_and_keep("/echo", "hi", 2), *c;

    support_until(app->loop, &between->ended);
    support_until(app->loop, &within->ended);
    fcgi_leave(between);
    fcgi_ask(within, "POST", "/hold", NULL, NULL, 0);
    support_until_count(app->loop, &routed, 3);
    ck_assert_uint_eq(gateway_active(app->gateway), 1);
    fcgi_leave(within);
    support_until_count(app->loop, &gone, 1);
    c = ask("/echo", "hi", 2);
    support_until(app->loop, &c->closed);
    fcgi_leave(c);
}
END_TEST

START_TEST(half_a_second_request_ends_its_connection_alone)
{
    struct fcgi_client *half = ask_and_keep("/echo", "hi", 2), *c;
    struct buf bytes;

    support_until(app->loop, &half->ended);
    buf_init(&bytes, 1 << 16);
    fcgi_encode(&bytes, "POST", "/echo", NULL, "hello", 5);
    ck_assert_int_gt(write(half->fd, bytes.data, bytes.len - 11), 0);
    support_until(app->loop, &half->closed);
    ck_assert_int_eq(routed, 1);
    c = ask("/echo", "hi", 2);
    support_until(app->loop, &c->ended);
    fcgi_leave(half);
    fcgi_leave(c);
    buf_close(&bytes);
}
END_TEST

START_TEST(a_slow_reader_gets_the_tail_of_one_reply_and_then_the_next)
{
    size_t len = 1 << 20;
    char *text = text_of(len);
    struct fcgi_client *c = ask_and_keep("/echo", text, len);

    fcgi_read(c, false);
    support_until_count(app->loop, &routed, 1);
    ck_assert_uint_eq(gateway_active(app->gateway), 1);
    fcgi_read(c, true);
    support_until(app->loop, &c->ended);
    ck_assert_str_eq(fcgi_body(c), text);
    fcgi_ask(c, "POST", "/hold", NULL, NULL, 0);
    support_until_count(app->loop, &routed, 2);
    response_stream_begin(held[0]);
    response_event(held[0], "1-1", "done", "{}", 2);
    response_end(held[0]);
    held[0] = NULL;
    support_until(app->loop, &c->ended);
    ck_assert_ptr_nonnull(strstr(fcgi_body(c), "event: done"));
    ck_assert(kept(c));
    fcgi_leave(c);
    free(text);
}
END_TEST

START_TEST(a_body_over_the_limit_is_413_and_never_kept)
{
    char *text = text_of((1 << 20) + 1);
    struct fcgi_client *c = ask("/echo", text, (1 << 20) + 1);

    support_until(app->loop, &c->ended);
    ck_assert_int_eq(fcgi_status(c), 413);
    ck_assert_int_eq(routed, 0);
    fcgi_leave(c);
    free(text);
}
END_TEST

START_TEST(a_request_that_comes_late_is_answered)
{
    struct fcgi_client *c = fcgi_connect(app->loop, path);

    support_turn(app->loop, 20);        /* accepted, and still silent */
    fcgi_ask(c, "POST", "/echo", NULL, "hello", 5);
    support_until(app->loop, &c->ended);
    ck_assert_str_eq(fcgi_body(c), "hello");
    fcgi_leave(c);
}
END_TEST

struct second_part { int fd; const char *bytes; size_t len; };

/* Writes once the server has begun to read. */
static void *write_second(void *arg)
{
    struct second_part *p = arg;
    int unread = 1;

    while (unread > 0 && ioctl(p->fd, SIOCOUTQ, &unread) == 0)
        sched_yield();
    return write(p->fd, p->bytes, p->len) == (ssize_t)p->len ? arg : NULL;
}

START_TEST(a_request_in_two_parts_is_read_whole)
{
    struct fcgi_client *c = fcgi_connect(app->loop, path);
    struct second_part second;
    struct buf bytes;
    pthread_t writer;
    void *wrote;
    size_t first;

    buf_init(&bytes, 1 << 16);
    fcgi_encode(&bytes, "POST", "/echo", NULL, "hello", 5);
    first = bytes.len * (size_t)_i / 10;
    second = (struct second_part){ c->fd, bytes.data + first, bytes.len - first };
    ck_assert_int_eq(write(c->fd, bytes.data, first), (ssize_t)first);
    pthread_create(&writer, NULL, write_second, &second);
    support_until(app->loop, &c->ended);
    pthread_join(writer, &wrote);
    ck_assert_ptr_nonnull(wrote);
    ck_assert_str_eq(fcgi_body(c), "hello");
    fcgi_leave(c);
    buf_close(&bytes);
}
END_TEST

START_TEST(half_a_request_or_none_is_dropped_and_the_next_one_answered)
{
    struct fcgi_client *half = fcgi_connect(app->loop, path);
    struct fcgi_client *silent = fcgi_connect(app->loop, path);
    struct fcgi_client *nonsense = fcgi_connect(app->loop, path), *c;
    struct buf bytes;

    buf_init(&bytes, 1 << 16);
    fcgi_encode(&bytes, "POST", "/echo", NULL, "hello", 5);
    ck_assert_int_gt(write(half->fd, bytes.data, bytes.len - 11), 0);
    ck_assert_int_eq(write(nonsense->fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    support_until(app->loop, &half->closed);
    support_until(app->loop, &nonsense->closed);
    support_until(app->loop, &silent->closed);
    ck_assert_int_eq(routed, 0);
    c = ask("/echo", "hi", 2);
    support_until(app->loop, &c->ended);
    fcgi_leave(half);
    fcgi_leave(silent);
    fcgi_leave(nonsense);
    fcgi_leave(c);
    buf_close(&bytes);
}
END_TEST

START_TEST(a_client_that_leaves_before_the_first_byte_is_noticed_at_once)
{
    struct fcgi_client *c = ask("/hold", NULL, 0);

    support_until_count(app->loop, &routed, 1);
    fcgi_leave(c);
    support_until_count(app->loop, &gone, 1);
    ck_assert_uint_eq(gateway_active(app->gateway), 0);
}
END_TEST

START_TEST(an_abort_record_is_a_client_that_left)
{
    const unsigned char abort_record[] = { 1, 2, 1, 2, 0, 0, 0, 0 };
    struct fcgi_client *c = ask("/hold", NULL, 0);

    support_until_count(app->loop, &routed, 1);
    ck_assert_int_eq(write(c->fd, abort_record, sizeof(abort_record)), 8);
    support_until_count(app->loop, &gone, 1);
    fcgi_leave(c);
}
END_TEST

START_TEST(who_leaves_with_unread_events_is_noticed_too)
{
    struct fcgi_client *c = ask("/hold", NULL, 0);

    support_until_count(app->loop, &routed, 1);
    fcgi_read(c, false);
    response_stream_begin(held[0]);
    response_event(held[0], "1-1", "delta", "{}", 2);
    fcgi_leave(c);
    support_until_count(app->loop, &gone, 1);
}
END_TEST

/* Sends until the response says that the reader lags. Returns the bytes sent. */
static size_t send_until_lag(struct request *r, const char *kilobyte)
{
    size_t sent = 0;

    while (sent < 32 << 20 && response_event(r, "1-1", "delta", kilobyte, 1024))
        sent += 1024;
    return sent;
}

START_TEST(a_reader_that_stops_holds_little_memory_and_nobody_else_up)
{
    enum { STOPPED = 20 };
    struct fcgi_client *stopped[STOPPED], *c;
    char *kilobyte = text_of(1024);

    for (int i = 0; i < STOPPED; i++) {
        stopped[i] = ask("/hold", NULL, 0);
        fcgi_read(stopped[i], false);
    }
    support_until_count(app->loop, &routed, STOPPED);
    for (int i = 0; i < STOPPED; i++) {
        response_stream_begin(held[i]);
        ck_assert_uint_lt(send_until_lag(held[i], kilobyte), 2 << 20);
        ck_assert_uint_le(held[i]->conn->out.len, (64 << 10) + 2048);
    }
    c = ask("/echo", "hi", 2);
    support_until(app->loop, &c->ended);
    ck_assert_int_eq(drained, 0);
    fcgi_leave(c);

    fcgi_read(stopped[0], true);            /* goes on reading: told once */
    support_until_count(app->loop, &drained, 1);
    response_end(held[0]);
    held[0] = NULL;
    support_until(app->loop, &stopped[0]->ended);
    support_turn(app->loop, 20);
    ck_assert_int_eq(drained, 1);
    for (int i = 0; i < STOPPED; i++)
        fcgi_leave(stopped[i]);
    support_until_count(app->loop, &gone, STOPPED - 1);
    free(kilobyte);
}
END_TEST

START_TEST(who_lets_more_wait_than_max_unsent_is_cut_but_not_from_within_the_call)
{
    struct fcgi_client *c = ask("/hold", NULL, 0);
    char *kilobyte = text_of(1024);

    fcgi_read(c, false);
    support_until_count(app->loop, &routed, 1);
    response_stream_begin(held[0]);
    for (int i = 0; i < 2048; i++)
        response_event(held[0], "1-1", "delta", kilobyte, 1024);
    ck_assert_int_eq(gone, 0);
    support_until_count(app->loop, &gone, 1);
    fcgi_leave(c);
    free(kilobyte);
}
END_TEST

START_TEST(one_event_may_be_larger_than_max_unsent)
{
    struct fcgi_client *c = ask("/hold", NULL, 0);
    size_t len = 4 << 20;
    char *text = text_of(len);

    fcgi_read(c, false);
    support_until_count(app->loop, &routed, 1);
    response_stream_begin(held[0]);
    ck_assert(!response_event(held[0], "1-1", "delta", text, len));
    response_event(held[0], "1-2", "done", "{}", 2);
    response_end(held[0]);
    held[0] = NULL;
    support_turn(app->loop, 20);
    ck_assert_int_eq(gone, 0);
    fcgi_read(c, true);
    support_until(app->loop, &c->ended);
    ck_assert_ptr_nonnull(strstr(fcgi_body(c), "event: done"));
    fcgi_leave(c);
    free(text);
}
END_TEST

START_TEST(a_reply_may_wait_whole_for_a_slow_reader)
{
    size_t len = 1 << 20;
    char *text = text_of(len);
    struct fcgi_client *c = ask("/echo", text, len);

    fcgi_read(c, false);
    support_until_count(app->loop, &routed, 1);
    ck_assert_uint_eq(gateway_active(app->gateway), 1);
    fcgi_read(c, true);
    support_until(app->loop, &c->ended);
    ck_assert_str_eq(fcgi_body(c), text);
    fcgi_leave(c);
    free(text);
}
END_TEST

START_TEST(beyond_max_requests_the_answer_is_503_at_once)
{
    struct fcgi_client *first, *c;

    app->settings.server.max_requests = 1;
    first = ask("/hold", NULL, 0);
    support_until_count(app->loop, &routed, 1);
    c = ask("/hold", "hello", 5);
    support_until(app->loop, &c->ended);
    ck_assert_int_eq(fcgi_status(c), 503);
    ck_assert(fcgi_has_header(c, "Retry-After: 1"));
    ck_assert_ptr_nonnull(strstr(fcgi_body(c), "\"code\":\"pool_busy\""));
    ck_assert_int_eq(routed, 1);
    fcgi_leave(c);
    fcgi_leave(first);
}
END_TEST

START_TEST(two_thousand_at_once_are_all_answered)
{
    enum { MANY = 2000 };
    struct fcgi_client *c[MANY];

    loop_raise_file_limit();
    app->settings.server.max_requests = MANY;
    for (int i = 0; i < MANY; i++)
        c[i] = ask("/hold", NULL, 0);
    support_until_count(app->loop, &routed, MANY);
    for (int i = 0; i < MANY; i++) {
        response_bytes(held[i], 200, "text/plain", "ok", 2);
        held[i] = NULL;
    }
    for (int i = 0; i < MANY; i++) {
        support_until(app->loop, &c[i]->ended);
        fcgi_leave(c[i]);
    }
    ck_assert_uint_eq(gateway_active(app->gateway), 0);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__    /* its malloc does not count, and takes more */
START_TEST(a_waiting_stream_costs_little_memory)
{
    enum { MANY = 1000 };
    struct fcgi_client *c[MANY];
    struct mallinfo2 before, after;

    loop_raise_file_limit();
    app->settings.server.max_requests = MANY;
    for (int i = 0; i < MANY; i++)
        c[i] = fcgi_connect(app->loop, path);
    before = mallinfo2();
    for (int i = 0; i < MANY; i++) {
        struct buf bytes;

        buf_init(&bytes, 1 << 16);
        fcgi_encode(&bytes, "POST", "/hold", NULL, "a question", 10);
        ck_assert_int_eq(write(c[i]->fd, bytes.data, bytes.len), (ssize_t)bytes.len);
        buf_close(&bytes);
    }
    support_until_count(app->loop, &routed, MANY);
    after = mallinfo2();
    ck_assert_uint_le((after.uordblks - before.uordblks) / MANY, 2048);
    for (int i = 0; i < MANY; i++)
        fcgi_leave(c[i]);
    support_until_count(app->loop, &gone, MANY);
}
END_TEST
#endif

START_TEST(without_files_a_request_is_told_so_and_later_ones_are_served)
{
    enum { MORE = 20 };
    struct fcgi_client *c[MORE], *last;
    struct rlimit limit, tight;
    int next;

    for (int i = 0; i < MORE; i++)
        c[i] = ask("/hold", "x", 1);
    getrlimit(RLIMIT_NOFILE, &limit);
    next = dup(0);
    close(next);
    tight = (struct rlimit){ (rlim_t)next + 3, limit.rlim_max };
    setrlimit(RLIMIT_NOFILE, &tight);
    for (int i = 0; i < MORE; i++)
        if (i >= 3)
            support_until(app->loop, &c[i]->ended);
    ck_assert_int_eq(routed, 3);
    for (int i = 3; i < MORE; i++)
        ck_assert_int_eq(fcgi_status(c[i]), 503);
    for (int i = 0; i < MORE; i++)
        fcgi_leave(c[i]);
    setrlimit(RLIMIT_NOFILE, &limit);
    last = ask("/echo", "hi", 2);
    support_until(app->loop, &last->ended);
    ck_assert_int_eq(fcgi_status(last), 200);
    fcgi_leave(last);
}
END_TEST

static struct pool *join(const char *dir, int places)
{
    struct pool *pool;

    ck_assert_int_eq(pool_join(dir, "test", &pool, NULL), ERR_OK);
    pool_mine(pool)->places = places;
    return pool;
}

static uint64_t active(const struct app *of)
{
    return pool_mine(of->pool)->active;
}

START_TEST(somebody_may_make_the_socket_a_blocking_one)
{
    struct fcgi_client *c;

    fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) & ~O_NONBLOCK);
    c = ask("/echo", "hi", 2);
    support_until(app->loop, &c->closed);
    ck_assert_str_eq(fcgi_body(c), "hi");
    fcgi_leave(c);
}
END_TEST

START_TEST(children_share_what_comes)
{
    enum { MANY = 1000 };
    const char *dir = support_dir();
    struct app *other = fcgi_app();
    struct fcgi_client *c[MANY];

    app->pool = join(dir, MANY);
    other->pool = join(dir, MANY);
    pool_meet(app->pool);
    pool_meet(other->pool);
    other->gateway = gateway_new(other, listen_fd, route);
    loop_raise_file_limit();
    for (int i = 0; i < MANY; i++)
        c[i] = ask("/hold", NULL, 0);
    while (routed < MANY) {
        event_base_loop(loop_base(app->loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
        event_base_loop(loop_base(other->loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    ck_assert_uint_eq(active(app) + active(other), MANY);
    ck_assert_uint_ge(active(app), MANY / 3);
    ck_assert_uint_ge(active(other), MANY / 3);
    for (int i = 0; i < MANY; i++) {
        response_end(held[i]);
        held[i] = NULL;
        fcgi_leave(c[i]);
    }
    gateway_free(other->gateway);
    pool_leave(other->pool);
    pool_leave(app->pool);
    app->pool = NULL;
    fcgi_app_free(other);
}
END_TEST

/* Whom it comes to does not matter, and a kept connection comes to the same each time. */
START_TEST(all_places_of_the_pool_are_taken_before_anyone_is_refused)
{
    enum { PLACES = 5, OURS = PLACES + 1 };
    const char *dir = support_dir();
    struct pool *sibling;
    struct fcgi_client *c[2 * PLACES];

    app->pool = join(dir, PLACES);
    sibling = join(dir, PLACES);
    for (int i = 0; i < 2 * PLACES - OURS; i++)
        ck_assert(pool_take_place(sibling));
    for (int i = 0; i < 2 * PLACES; i++)
        c[i] = ask_and_keep("/hold", NULL, 0);
    for (int i = OURS; i < 2 * PLACES; i++) {
        support_until(app->loop, &c[i]->ended);
        ck_assert_int_eq(fcgi_status(c[i]), 503);
    }
    ck_assert_int_eq(routed, OURS);
    ck_assert(!pool_take_place(sibling));
    response_end(held[0]);
    held[0] = NULL;
    support_until(app->loop, &c[0]->ended);
    ck_assert(pool_take_place(sibling));
    for (int i = 0; i < 2 * PLACES; i++)
        fcgi_leave(c[i]);
    support_until_count(app->loop, &gone, OURS - 1);
    ck_assert_int_eq(pool_mine(app->pool)->taken, 0);
    pool_leave(app->pool);
    app->pool = NULL;
    pool_leave(sibling);
}
END_TEST

START_TEST(what_a_stuck_sibling_leaves_is_taken_all_the_same)
{
    enum { MANY = 1000 };
    const char *dir = support_dir();
    struct pool *stuck = join(dir, MANY);
    struct fcgi_client *c[MANY];

    app->pool = join(dir, MANY);
    pool_meet(app->pool);
    for (int i = 0; i < MANY; i++)
        c[i] = ask("/hold", NULL, 0);
    support_until_count(app->loop, &routed, MANY);
    for (int i = 0; i < MANY; i++)
        fcgi_leave(c[i]);
    support_until_count(app->loop, &gone, MANY);
    pool_leave(app->pool);
    app->pool = NULL;
    pool_leave(stuck);
}
END_TEST

static void on_idle(void *arg)
{
    (void)arg;
    idle = true;
}

START_TEST(a_drain_ends_when_the_last_request_has_ended)
{
    struct fcgi_client *c = ask("/hold", NULL, 0);

    app->settings.server.drain_timeout = 60000;
    support_until_count(app->loop, &routed, 1);
    gateway_drain(app->gateway, on_idle, NULL);
    support_turn(app->loop, 20);
    ck_assert(!idle);
    response_bytes(held[0], 200, "text/plain", "ok", 2);
    held[0] = NULL;
    support_until(app->loop, &idle);
    ck_assert(c->text.len > 0 || !c->ended);
    support_until(app->loop, &c->ended);
    fcgi_leave(c);
}
END_TEST

START_TEST(a_drain_takes_in_what_was_accepted_and_nothing_after_it)
{
    struct fcgi_client *before = ask("/echo", "hi", 2), *after;

    support_turn(app->loop, 0);
    gateway_drain(app->gateway, on_idle, NULL);
    after = ask("/echo", "hi", 2);
    support_until(app->loop, &idle);
    support_turn(app->loop, 20);
    ck_assert(!after->ended);
    fcgi_leave(before);
    fcgi_leave(after);
}
END_TEST

START_TEST(a_drain_serves_kept_connections_until_the_web_server_closes_them)
{
    struct fcgi_client *c = ask_and_keep("/echo", "hi", 2);

    app->settings.server.drain_timeout = 60000;
    support_until(app->loop, &c->ended);
    gateway_drain(app->gateway, on_idle, NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert(kept(c));
        ck_assert(!idle);
        fcgi_ask(c, "POST", "/echo", NULL, "more", 4);
        support_until(app->loop, &c->ended);
        ck_assert_str_eq(fcgi_body(c), "more");
    }
    fcgi_leave(c);
    support_until(app->loop, &idle);
}
END_TEST

START_TEST(a_drain_that_takes_too_long_closes_what_is_kept)
{
    struct fcgi_client *c = ask_and_keep("/echo", "hi", 2);

    support_until(app->loop, &c->ended);
    gateway_drain(app->gateway, on_idle, NULL);
    support_until(app->loop, &idle);
    support_until(app->loop, &c->closed);
    fcgi_leave(c);
}
END_TEST

START_TEST(a_drain_that_takes_too_long_cuts_the_rest_and_tells_their_handlers)
{
    struct fcgi_client *c = ask("/hold", NULL, 0);

    support_until_count(app->loop, &routed, 1);
    gateway_drain(app->gateway, on_idle, NULL);
    support_until(app->loop, &idle);
    ck_assert_int_eq(gone, 1);
    support_until(app->loop, &c->closed);
    ck_assert(!c->ended);
    fcgi_leave(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway");
    TCase *io = tcase_create("requests and replies"), *end = tcase_create("the end");

    tcase_add_checked_fixture(io, setup, teardown);
    tcase_add_loop_test(io, a_body_of_any_size_goes_in_and_out_unharmed, 0,
                        sizeof(sizes) / sizeof(sizes[0]));
    tcase_add_test(io, a_short_reply_is_one_record_and_the_connection_ends);
    tcase_add_test(io, a_kept_connection_carries_one_request_after_the_other);
    tcase_add_test(io, a_refused_request_leaves_its_connection_fit_for_the_next);
    tcase_add_test(io, a_kept_connection_without_a_request_takes_no_place);
    tcase_add_test(io, who_leaves_a_kept_connection_between_or_within_requests_is_noticed);
    tcase_add_test(io, half_a_second_request_ends_its_connection_alone);
    tcase_add_test(io, a_slow_reader_gets_the_tail_of_one_reply_and_then_the_next);
    tcase_add_test(io, a_body_over_the_limit_is_413_and_never_kept);
    tcase_add_test(io, a_request_that_comes_late_is_answered);
    tcase_add_loop_test(io, a_request_in_two_parts_is_read_whole, 1, 10);
    tcase_add_test(io, half_a_request_or_none_is_dropped_and_the_next_one_answered);
    tcase_add_test(io, a_client_that_leaves_before_the_first_byte_is_noticed_at_once);
    tcase_add_test(io, an_abort_record_is_a_client_that_left);
    tcase_add_test(io, who_leaves_with_unread_events_is_noticed_too);
    tcase_add_test(io, a_reader_that_stops_holds_little_memory_and_nobody_else_up);
    tcase_add_test(io, one_event_may_be_larger_than_max_unsent);
    tcase_add_test(io, who_lets_more_wait_than_max_unsent_is_cut_but_not_from_within_the_call);
    tcase_add_test(io, a_reply_may_wait_whole_for_a_slow_reader);
    tcase_add_test(io, beyond_max_requests_the_answer_is_503_at_once);
    tcase_add_test(io, two_thousand_at_once_are_all_answered);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(io, a_waiting_stream_costs_little_memory);
#endif
    tcase_add_test(io, without_files_a_request_is_told_so_and_later_ones_are_served);
    tcase_add_test(io, somebody_may_make_the_socket_a_blocking_one);
    tcase_add_test(io, children_share_what_comes);
    tcase_add_test(io, all_places_of_the_pool_are_taken_before_anyone_is_refused);
    tcase_add_test(io, what_a_stuck_sibling_leaves_is_taken_all_the_same);
    suite_add_tcase(suite, io);
    tcase_add_checked_fixture(end, setup, teardown);
    tcase_add_test(end, a_drain_ends_when_the_last_request_has_ended);
    tcase_add_test(end, a_drain_takes_in_what_was_accepted_and_nothing_after_it);
    tcase_add_test(end, a_drain_serves_kept_connections_until_the_web_server_closes_them);
    tcase_add_test(end, a_drain_that_takes_too_long_closes_what_is_kept);
    tcase_add_test(end, a_drain_that_takes_too_long_cuts_the_rest_and_tells_their_handlers);
    suite_add_tcase(suite, end);
    return support_run(suite);
}
