/* The asynchronous Redis client, against a real server that is killed, frozen and restarted. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/io/redis.h"
#include "lib/io/redis_url.h"
#include "tests/unit/support.h"

/* What one call came to. */
struct outcome {
    int           count;
    enum err_code code;
    int64_t       number, at;
    char          text[64];
    char          detail[400];
};

static struct support_redis *server;
static struct loop *loop;
static struct redis *redis;
static int ups, downs;
static struct outcome got, got2;

static void on_reply(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct outcome *o = arg;
    struct redis_arg text = redis_reply_text(reply);

    ck_assert_msg(!reply == !!e, "exactly one of reply and err is set");
    o->count++;
    o->at = clock_ms();
    o->code = e ? e->code : ERR_OK;
    o->number = redis_reply_int(reply);
    snprintf(o->text, sizeof o->text, "%.*s", (int)text.len, text.s);
    snprintf(o->detail, sizeof o->detail, "%s", e ? e->detail : "");
}

static void on_state(void *arg, bool up)
{
    (void)arg;
    if (up)
        ups++;
    else
        downs++;
}

static void open_url(const char *url, int64_t timeout, int64_t connect_timeout)
{
    struct redis_options o = { .url = url, .connect_timeout = connect_timeout, .timeout = timeout,
                               .name = "test" };
    struct err e = ERR_NONE;

    ck_assert_msg(redis_new(loop, &o, &redis, &e) == ERR_OK, "%s", e.detail);
    redis_on_state(redis, on_state, NULL);
}

static void setup(void)
{
    loop = loop_new();
    ups = downs = 0;
    memset(&got, 0, sizeof got);
    memset(&got2, 0, sizeof got2);
    open_url(support_redis_url(server), 500, 500);
}

static void teardown(void)
{
    redis_free(redis);
    loop_free(loop);
}

static void start_server(void)
{
    server = support_redis_start();
}

static void stop_server(void)
{
    support_redis_stop(server);
}

static struct redis_call *call(struct outcome *o, int64_t timeout, const char *a, const char *b,
                               const char *c)
{
    struct redis_arg argv[3] = { redis_str(a), redis_str(b ? b : ""), redis_str(c ? c : "") };
    struct redis_call *made = redis_command(redis, timeout, argv, (size_t)(1 + !!b + !!c),
                                            on_reply, o);

    ck_assert_ptr_nonnull(made);
    return made;
}

static void wait_up(int times)
{
    support_until_count(loop, &ups, times);
}

START_TEST(a_call_before_the_connection_waits_for_it_and_comes_back_after_it_returned)
{
    ck_assert(!redis_is_up(redis));
    call(&got, 0, "PING", NULL, NULL);
    ck_assert_int_eq(got.count, 0);
    support_until_count(loop, &got.count, 1);
    ck_assert_str_eq(got.text, "PONG");
    ck_assert(redis_is_up(redis));
}
END_TEST

START_TEST(replies_of_every_kind_are_read_and_missing_ones_are_empty)
{
    wait_up(1);
    call(&got, 0, "SET", "n", "42");
    call(&got, 0, "GET", "n", NULL);
    support_until_count(loop, &got.count, 2);
    ck_assert_int_eq(got.number, 42);
    call(&got, 0, "INCR", "n", NULL);
    support_until_count(loop, &got.count, 3);
    ck_assert_int_eq(got.number, 43);
    call(&got, 0, "GET", "no such", NULL);
    support_until_count(loop, &got.count, 4);
    ck_assert_str_eq(got.text, "");
    ck_assert(redis_reply_is_nil(NULL));
    ck_assert_uint_eq(redis_reply_count(NULL), 0);
    ck_assert_ptr_null(redis_reply_at(NULL, 0));
}
END_TEST

static void on_array(void *arg, const struct redisReply *reply, const struct err *e)
{
    ck_assert_ptr_null(e);
    ck_assert_uint_eq(redis_reply_count(reply), 2);
    ck_assert_str_eq(redis_reply_text(redis_reply_at(reply, 0)).s, "a");
    ck_assert_uint_eq(redis_reply_count(redis_reply_at(reply, 1)), 1);
    ck_assert_int_eq(redis_reply_int(redis_reply_at(redis_reply_at(reply, 1), 0)), 7);
    ck_assert_ptr_null(redis_reply_at(reply, 2));
    *(bool *)arg = true;
}

START_TEST(nested_arrays_are_read)
{
    struct redis_arg argv[] = { REDIS_LIT("EVAL"), REDIS_LIT("return {'a', {7}}"), REDIS_LIT("0") };
    bool done = false;

    redis_command(redis, 0, argv, 3, on_array, &done);
    support_until(loop, &done);
}
END_TEST

START_TEST(arguments_with_any_byte_arrive_as_they_are)
{
    char bytes[256];
    struct redis_arg set[] = { REDIS_LIT("SET"), REDIS_LIT("k\0\r\n"), { bytes, sizeof bytes } };
    struct redis_arg len[] = { REDIS_LIT("STRLEN"), REDIS_LIT("k\0\r\n") };

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    redis_command(redis, 0, set, 3, on_reply, &got);
    redis_command(redis, 0, len, 2, on_reply, &got);
    support_until_count(loop, &got.count, 2);
    ck_assert_int_eq(got.number, 256);
}
END_TEST

static const struct redis_script add = {
    "add", "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    "8cd00688c05c46bde4a2e60658ef20a2e5c0b248"
};

START_TEST(a_script_that_the_server_does_not_know_is_sent_once_more)
{
    struct redis_arg key = REDIS_LIT("sum"), five = REDIS_LIT("5");

    free(support_redis_ask(server, "DEL sum"));
    free(support_redis_ask(server, "SCRIPT FLUSH"));
    for (int i = 0; i < 3; i++)
        redis_eval(redis, 0, &add, &key, 1, &five, 1, on_reply, &got);
    support_until_count(loop, &got.count, 3);
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.number, 15);
}
END_TEST

static const struct { const char *body; enum err_code code; } faults[] = {
    { "return redis.error_reply('READONLY You can not write')", ERR_STORE },
    { "return redis.error_reply('OOM command not allowed')", ERR_STORE },
    { "return redis.error_reply('BUSY running')", ERR_STORE },
    { "return redis.error_reply('MISCONF no disk')", ERR_STORE },
    { "return redis.error_reply('BUSYGROUP exists')", ERR_INTERNAL },
    { "return redis.error_reply('NOGROUP none')", ERR_INTERNAL },
    { "return redis.call('no such command')", ERR_INTERNAL },
};

START_TEST(what_the_server_refuses_is_an_error_with_its_words)
{
    struct redis_arg argv[] = { REDIS_LIT("EVAL"), redis_str(faults[_i].body), REDIS_LIT("0") };

    redis_command(redis, 0, argv, 3, on_reply, &got);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, faults[_i].code);
    ck_assert_ptr_nonnull(strstr(got.detail, "EVAL"));
    ck_assert_int_eq(downs, 0);
}
END_TEST

START_TEST(a_cancelled_call_is_silent_and_the_next_gets_its_own_answer)
{
    struct redis_call *early = call(&got2, 0, "ECHO", "early", NULL), *sent;

    redis_call_cancel(early);
    wait_up(1);
    sent = call(&got2, 0, "ECHO", "one", NULL);
    call(&got, 0, "ECHO", "two", NULL);
    redis_call_cancel(sent);
    redis_call_cancel(NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_str_eq(got.text, "two");
    ck_assert_int_eq(got2.count, 0);
}
END_TEST

START_TEST(what_was_under_way_fails_when_the_server_dies_and_calls_work_when_it_is_back)
{
    int64_t back;

    wait_up(1);
    support_redis_freeze(server);
    call(&got, 0, "PING", NULL, NULL);
    call(&got, 0, "PING", NULL, NULL);
    support_redis_kill(server);
    support_until_count(loop, &got.count, 2);
    ck_assert_int_eq(got.code, ERR_STORE);
    support_until_count(loop, &downs, 1);
    ck_assert(!redis_is_up(redis));
    support_redis_again(server);
    back = clock_ms();
    wait_up(2);
    ck_assert_int_lt(clock_ms() - back, 2000);
    call(&got, 0, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 3);
    ck_assert_int_eq(got.code, ERR_OK);
}
END_TEST

START_TEST(a_frozen_server_costs_a_call_its_deadline_and_is_used_again_when_it_thaws)
{
    int64_t begun;

    wait_up(1);
    support_redis_freeze(server);
    begun = clock_ms();
    call(&got, 200, "PING", NULL, NULL);
    call(&got2, 400, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_int_ge(got.at - begun, 195);
    ck_assert_int_lt(got.at - begun, 400);
    support_until_count(loop, &got2.count, 1);
    ck_assert_int_eq(got2.code, ERR_STORE);
    support_until_count(loop, &downs, 1);
    call(&got, 100, "PING", NULL, NULL);    /* the new connection is being made */
    support_until_count(loop, &got.count, 2);
    ck_assert_int_eq(got.code, ERR_STORE);
    support_redis_thaw(server);
    begun = clock_ms();
    wait_up(2);
    ck_assert_int_lt(clock_ms() - begun, 2000);
    call(&got, 0, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 3);
    ck_assert_int_eq(got.code, ERR_OK);
}
END_TEST

START_TEST(a_waiting_call_whose_deadline_passed_is_never_carried_out)
{
    free(support_redis_ask(server, "DEL late"));
    support_redis_freeze(server);
    call(&got, 100, "INCR", "late", NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    support_redis_thaw(server);
    call(&got, 5000, "EXISTS", "late", NULL);
    support_until_count(loop, &got.count, 2);
    ck_assert_int_eq(got.number, 0);
}
END_TEST

START_TEST(while_redis_is_away_a_call_fails_at_once_but_not_within_the_call)
{
    int64_t begun = 0;

    support_redis_kill(server);
    /* Until the try fails. From then on there are rests. */
    for (int i = 1; got.code == ERR_OK || clock_ms() - begun > 20; i++) {
        begun = clock_ms();
        call(&got, 5000, "PING", NULL, NULL);
        ck_assert_int_eq(got.count, i - 1);
        support_until_count(loop, &got.count, i);
    }
    ck_assert_int_eq(got.code, ERR_STORE);
    support_redis_again(server);
}
END_TEST

START_TEST(a_long_blocking_read_with_a_longer_deadline_is_no_fault)
{
    wait_up(1);
    call(&got, 2000, "BLPOP", "nothing", "0.7");     /* the default deadline is 500 ms */
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(downs, 0);
}
END_TEST

static void on_free_all(void *arg, const struct redisReply *reply, const struct err *e)
{
    (void)reply;
    (void)e;
    redis_free(redis);
    redis = NULL;
    *(bool *)arg = true;
}

START_TEST(a_redis_may_be_freed_in_a_callback_of_an_answer)
{
    bool done = false;
    struct redis_arg ping = REDIS_LIT("PING");

    wait_up(1);
    redis_command(redis, 0, &ping, 1, on_free_all, &done);
    call(&got, 0, "PING", NULL, NULL);
    support_until(loop, &done);
    support_turn(loop, 20);
    ck_assert_int_eq(got.count, 0);
}
END_TEST

START_TEST(a_redis_may_be_freed_in_a_callback_of_a_failure)
{
    bool done = false;
    struct redis_arg ping = REDIS_LIT("PING");

    wait_up(1);
    support_redis_freeze(server);
    redis_command(redis, 50, &ping, 1, on_free_all, &done);
    call(&got, 0, "PING", NULL, NULL);
    support_until(loop, &done);
    support_redis_thaw(server);
    support_turn(loop, 20);
    ck_assert_int_eq(got.count, 0);
}
END_TEST

static struct redis_call *victim;

static void on_cancel_other(void *arg, const struct redisReply *reply, const struct err *e)
{
    on_reply(arg, reply, e);
    redis_call_cancel(victim);
}

START_TEST(a_callback_of_a_failure_may_cancel_the_next_one)
{
    struct redis_arg ping = REDIS_LIT("PING");

    wait_up(1);
    support_redis_freeze(server);
    redis_command(redis, 50, &ping, 1, on_cancel_other, &got);
    victim = call(&got2, 0, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 1);
    support_redis_thaw(server);
    wait_up(2);
    ck_assert_int_eq(got2.count, 0);
}
END_TEST

static char heard[200];
static int heard_count;

static void on_message(void *arg, const char *message, size_t len)
{
    (void)arg;
    snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%.*s;", (int)len, message);
    heard_count++;
}

/* Publishes until one was heard: when the subscription stands is the server's business. */
static bool publish_until_heard(void *arg)
{
    int before = *(int *)arg;

    if (heard_count == before)
        free(support_redis_ask(server, "PUBLISH news %s", "wake up"));
    return heard_count > before;
}

START_TEST(a_subscriber_hears_its_channel_also_after_the_server_was_restarted)
{
    int before = 0;

    ck_assert(redis_subscribe(redis, "news", on_message, NULL));
    ck_assert(!redis_subscribe(redis, "other", on_message, NULL));
    support_until_true(loop, publish_until_heard, &before);
    ck_assert_int_eq(strncmp(heard, "wake up;", 8), 0);
    support_redis_kill(server);
    support_until_count(loop, &downs, 1);
    support_redis_again(server);
    before = heard_count;
    support_until_true(loop, publish_until_heard, &before);
}
END_TEST

START_TEST(a_subscriber_notices_a_server_that_fell_silent)
{
    ck_assert(redis_subscribe(redis, "news", on_message, NULL));
    wait_up(1);
    support_redis_freeze(server);
    support_until_count(loop, &downs, 1);
    support_redis_thaw(server);
    wait_up(2);
}
END_TEST

static int answered;

static void on_hot(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct redis_arg incr[] = { REDIS_LIT("INCR"), REDIS_LIT("hot") };

    ck_assert_ptr_null(e);
    ck_assert_int_gt(redis_reply_int(reply), 0);
    if (++answered <= 20000 - 100)
        redis_command(redis, 0, incr, 2, on_hot, arg);
}

START_TEST(many_calls_are_under_way_on_one_connection)
{
    struct redis_arg incr[] = { REDIS_LIT("INCR"), REDIS_LIT("hot") };

    free(support_redis_ask(server, "CONFIG SET appendonly no"));
    free(support_redis_ask(server, "DEL hot"));
    wait_up(1);
    for (int i = 0; i < 100; i++)
        redis_command(redis, 5000, incr, 2, on_hot, NULL);
    support_until_count(loop, &answered, 20000);
    call(&got, 0, "GET", "hot", NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.number, 20000);
    free(support_redis_ask(server, "CONFIG SET appendonly yes"));
}
END_TEST

static bool has_echoed(const char *calls)
{
    char *stats = support_redis_ask(server, "INFO commandstats"), *echo;
    bool has;

    echo = strstr(stats, "cmdstat_echo:");
    has = echo && strncmp(echo + strlen("cmdstat_echo:"), calls, strlen(calls)) == 0;
    free(stats);
    return has;
}

START_TEST(the_answers_that_wait_are_read_in_one_turn_of_the_loop)
{
    enum { CALLS = 100 };
    char kilobyte[1024] = { 0 };

    memset(kilobyte, 'x', sizeof kilobyte - 1);
    wait_up(1);
    free(support_redis_ask(server, "CONFIG RESETSTAT"));
    for (int i = 0; i < CALLS; i++)
        call(&got, 0, "ECHO", kilobyte, NULL);
    event_base_loop(loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    while (!has_echoed("calls=100,"))
        ;
    free(support_redis_ask(server, "PING"));    /* by then the last of its answers has left */
    event_base_loop(loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    ck_assert_int_eq(got.count, CALLS);
}
END_TEST

START_TEST(a_value_of_several_megabytes_goes_both_ways)
{
    size_t size = 8 << 20;
    char *big = malloc(size);
    struct redis_arg set[] = { REDIS_LIT("SET"), REDIS_LIT("big"), { big, size } };
    struct redis_arg echo[] = { REDIS_LIT("GET"), REDIS_LIT("big") };

    memset(big, 'x', size);
    wait_up(1);
    redis_command(redis, 5000, set, 3, on_reply, &got);
    free(big);
    redis_command(redis, 5000, echo, 2, on_reply, &got);
    support_until_count(loop, &got.count, 2);
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_uint_eq(strlen(got.text), sizeof got.text - 1);
    free(support_redis_ask(server, "DEL big"));
}
END_TEST

/* --- servers of their own --- */

static void loop_only(void)
{
    loop = loop_new();
    ups = downs = 0;
    memset(&got, 0, sizeof got);
}

START_TEST(names_passwords_and_databases_of_the_url_are_used)
{
    char port[16], url[100];
    const char *options[] = { "--port", port, "--requirepass", "se:cr@t", NULL };
    struct support_redis *own;

    snprintf(port, sizeof port, "%d", support_free_port());
    own = support_redis_start_with(options);
    snprintf(url, sizeof url, "redis://:se%%3Acr%%40t@localhost:%s/3", port);
    open_url(url, 2000, 2000);
    call(&got, 0, "CLIENT", "INFO", NULL);
    call(&got, 0, "CLIENT", "GETNAME", NULL);
    support_until_count(loop, &got.count, 2);
    ck_assert_str_eq(got.text, "test");
    call(&got, 0, "SET", "in", "3");
    support_until_count(loop, &got.count, 3);
    ck_assert_int_eq(got.code, ERR_OK);
    support_redis_stop(own);
}
END_TEST

START_TEST(a_wrong_password_is_never_up)
{
    const char *options[] = { "--requirepass", "secret", NULL };
    struct support_redis *own = support_redis_start_with(options);
    char url[200];

    snprintf(url, sizeof url, "unix://:wrong@%s", support_redis_socket(own));
    open_url(url, 2000, 2000);
    call(&got, 0, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(got.detail, "WRONGPASS"));
    ck_assert_ptr_null(strstr(got.detail, "wrong@"));
    ck_assert_int_eq(ups, 0);
    support_redis_stop(own);
}
END_TEST

START_TEST(a_server_that_is_still_loading_is_not_up_until_it_is_done)
{
    const char *options[] = { "--key-load-delay", "100", NULL };
    struct support_redis *own = support_redis_start_with(options);

    free(support_redis_ask(own, "EVAL %s 0", "for i = 1, 20000 do redis.call('SET', i, i) end"));
    support_redis_kill(own);
    support_redis_launch(own);
    open_url(support_redis_url(own), 1000, 1000);
    for (int i = 1; strstr(got.detail, "LOADING") == NULL; i++) {
        call(&got, 0, "PING", NULL, NULL);
        support_until_count(loop, &got.count, i);
        ck_assert_int_eq(ups, 0);
        ck_assert_int_eq(got.code, ERR_STORE);
    }
    wait_up(1);
    got.count = 0;
    call(&got, 0, "DBSIZE", NULL, NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.number, 20000);
    support_redis_stop(own);
}
END_TEST

START_TEST(nobody_at_the_port_fails_within_the_deadline)
{
    char url[64];

    snprintf(url, sizeof url, "redis://127.0.0.1:%d", support_free_port());
    open_url(url, 500, 500);
    call(&got, 0, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(got.detail, "refused"));
}
END_TEST

START_TEST(a_name_that_nobody_knows_fails_within_the_deadline_and_blocks_nothing)
{
    int64_t begun = clock_ms();

    open_url("redis://no-such-host.invalid:6379", 300, 200);
    call(&got, 0, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_int_lt(clock_ms() - begun, 500);
    support_turn(loop, 600);        /* some tries more */
    redis_free(redis);
    redis = NULL;
    support_turn(loop, 50);         /* the resolver's last word */
}
END_TEST

START_TEST(something_that_is_no_redis_is_left)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), peer;
    char url[64];

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(listener, 5), 0);
    getsockname(listener, (struct sockaddr *)&at, &len);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", ntohs(at.sin_port));
    open_url(url, 1000, 1000);
    support_turn(loop, 20);
    peer = accept(listener, NULL, NULL);
    ck_assert_int_eq(write(peer, "HTTP/1.1 400 Bad Request\r\n", 26), 26);
    call(&got, 0, "PING", NULL, NULL);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(got.detail, "protocol"));
    close(peer);
    close(listener);
}
END_TEST

/* --- the URL --- */

static const struct { const char *text, *host, *path, *user, *password; int port, db; } urls[] = {
    { "redis://redis", "redis", NULL, NULL, NULL, 6379, 0 },
    { "redis://", "127.0.0.1", NULL, NULL, NULL, 6379, 0 },
    { "redis://h:1/2", "h", NULL, NULL, NULL, 1, 2 },
    { "redis://h/", "h", NULL, NULL, NULL, 6379, 0 },
    { "redis://u:p%40@h:7000/15", "h", NULL, "u", "p@", 7000, 15 },
    { "redis://:p@[::1]:7", "::1", NULL, NULL, "p", 7, 0 },
    { "redis://[fe80::1]", "fe80::1", NULL, NULL, NULL, 6379, 0 },
    { "unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL, 0, 0 },
    { "unix://:p@/run/a@b?db=4", NULL, "/run/a@b", NULL, "p", 0, 4 },
    { "sentinel://u:p@a:1,b,[::1]:2/m/3?sentinel_auth=:q", NULL, NULL, "u", "p", 0, 3 },
};

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

START_TEST(a_url_says_where_redis_is)
{
    struct redis_url u;
    struct err e = ERR_NONE;

    ck_assert_msg(redis_url_parse(urls[_i].text, &u, &e) == ERR_OK, "%s", e.detail);
    ck_assert(same(u.host, urls[_i].host));
    ck_assert(same(u.path, urls[_i].path));
    ck_assert(same(u.user, urls[_i].user));
    ck_assert(same(u.password, urls[_i].password));
    ck_assert_int_eq(u.db, urls[_i].db);
    if (u.host)
        ck_assert_int_eq(u.port, urls[_i].port);
    redis_url_close(&u);
}
END_TEST

START_TEST(a_url_names_sentinels_and_a_master)
{
    struct redis_url u;
    struct err e = ERR_NONE;

    ck_assert_msg(redis_url_parse("sentinel://u:p@a:1,b,[::1]:2/m/3?sentinel_auth=s:q@", &u, &e) ==
                  ERR_OK, "%s", e.detail);
    ck_assert_str_eq(u.master, "m");
    ck_assert_uint_eq(u.sentinel_count, 3);
    ck_assert_str_eq(u.sentinels[0].host, "a");
    ck_assert_int_eq(u.sentinels[0].port, 1);
    ck_assert_str_eq(u.sentinels[1].host, "b");
    ck_assert_int_eq(u.sentinels[1].port, 26379);
    ck_assert_str_eq(u.sentinels[2].host, "::1");
    ck_assert_str_eq(u.sentinel_user, "s");
    ck_assert_str_eq(u.sentinel_password, "q@");
    redis_url_close(&u);
}
END_TEST

static const char *const wrong_urls[] = {
    "sentinel://h:x/m", "sentinel://h,/m", "sentinel://,h/m", "sentinel://h/m/x",
    "sentinel://h/m?db=1", "sentinel://h/m?sentinel_auth=x", "sentinel://h?m",
    "sentinel://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/m",
    "", "redis", "http://h", "rediss://h", "sentinel://h", "sentinel://h/", "redis://h:0",
    "redis://h:65536",
    "redis://h:x", "redis://h:1x", "redis://h/x", "redis://h/-1", "redis://h?db=1", "redis://[::1",
    "redis://[::1]x", "redis://u@h", "redis://u:@h", "redis://u:%zz@h", "redis://u:%00@h",
    "unix://", "unix:///", "unix://run/x", "unix:///run/x?x=1", "unix:///run/x?db=x",
    "unix:///0123456789012345678901234567890123456789012345678901234567890123456789"
    "0123456789012345678901234567890123456789",
};

START_TEST(a_wrong_url_is_refused_with_a_reason)
{
    struct redis_options o = { .url = wrong_urls[_i], .connect_timeout = 100, .timeout = 100 };
    struct err e = ERR_NONE;

    ck_assert_int_eq(redis_new(loop, &o, &redis, &e), ERR_INVALID);
    ck_assert_ptr_null(redis);
    ck_assert_str_ne(e.detail, "");
}
END_TEST

static TCase *with_server(void)
{
    TCase *tc = tcase_create("with a server");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, start_server, stop_server);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_call_before_the_connection_waits_for_it_and_comes_back_after_it_returned);
    tcase_add_test(tc, replies_of_every_kind_are_read_and_missing_ones_are_empty);
    tcase_add_test(tc, nested_arrays_are_read);
    tcase_add_test(tc, arguments_with_any_byte_arrive_as_they_are);
    tcase_add_test(tc, a_script_that_the_server_does_not_know_is_sent_once_more);
    tcase_add_loop_test(tc, what_the_server_refuses_is_an_error_with_its_words, 0,
                        sizeof faults / sizeof *faults);
    tcase_add_test(tc, a_cancelled_call_is_silent_and_the_next_gets_its_own_answer);
    tcase_add_test(tc, a_frozen_server_costs_a_call_its_deadline_and_is_used_again_when_it_thaws);
    tcase_add_test(tc, a_waiting_call_whose_deadline_passed_is_never_carried_out);
    tcase_add_test(tc, a_long_blocking_read_with_a_longer_deadline_is_no_fault);
    tcase_add_test(tc, a_redis_may_be_freed_in_a_callback_of_an_answer);
    tcase_add_test(tc, a_redis_may_be_freed_in_a_callback_of_a_failure);
    tcase_add_test(tc, a_callback_of_a_failure_may_cancel_the_next_one);
    tcase_add_test(tc, a_subscriber_notices_a_server_that_fell_silent);
    tcase_add_test(tc, many_calls_are_under_way_on_one_connection);
    tcase_add_test(tc, the_answers_that_wait_are_read_in_one_turn_of_the_loop);
    tcase_add_test(tc, a_value_of_several_megabytes_goes_both_ways);
    return tc;
}

/* Each test is a process: what it starts anew would die with it, so it starts its own. */
static TCase *with_a_mortal_server(void)
{
    TCase *tc = tcase_create("with a server that dies");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, start_server, stop_server);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc,
                   what_was_under_way_fails_when_the_server_dies_and_calls_work_when_it_is_back);
    tcase_add_test(tc, while_redis_is_away_a_call_fails_at_once_but_not_within_the_call);
    tcase_add_test(tc, a_subscriber_hears_its_channel_also_after_the_server_was_restarted);
    return tc;
}

static TCase *with_another_server(void)
{
    TCase *tc = tcase_create("with another server, or none");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, loop_only, teardown);
    tcase_add_test(tc, names_passwords_and_databases_of_the_url_are_used);
    tcase_add_test(tc, a_wrong_password_is_never_up);
    tcase_add_test(tc, a_server_that_is_still_loading_is_not_up_until_it_is_done);
    tcase_add_test(tc, nobody_at_the_port_fails_within_the_deadline);
    tcase_add_test(tc, a_name_that_nobody_knows_fails_within_the_deadline_and_blocks_nothing);
    tcase_add_test(tc, something_that_is_no_redis_is_left);
    tcase_add_loop_test(tc, a_url_says_where_redis_is, 0, sizeof urls / sizeof *urls);
    tcase_add_test(tc, a_url_names_sentinels_and_a_master);
    tcase_add_loop_test(tc, a_wrong_url_is_refused_with_a_reason, 0,
                        sizeof wrong_urls / sizeof *wrong_urls);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("redis");

    suite_add_tcase(suite, with_server());
    suite_add_tcase(suite, with_a_mortal_server());
    suite_add_tcase(suite, with_another_server());
    return support_run(suite);
}
