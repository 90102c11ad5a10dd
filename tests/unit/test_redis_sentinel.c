/* The master is where the sentinels say. They are played by the test; the servers are real. The
 * real sentinels are in tests/e2e/test_failover.py. */
#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/io/redis.h"
#include "tests/unit/support.h"

/* Answers a PING and the question for the master; the rest with OK. */
struct sentinel {
    struct evconnlistener *listener;
    int                    port;
    int                    master;      /* the port it tells; 0: knows none */
    bool                   silent;
    int                    asked;
    char                   heard[512];  /* the latest words */
};

struct outcome { int count; enum err_code code; char text[64], detail[400]; };

static struct loop *loop;
static struct redis *redis;
static struct support_redis *one, *two;
static int port_one, port_two, ups;
static struct sentinel sentinels[2];
static struct outcome got;

static void answer(struct bufferevent *b, void *arg)
{
    struct sentinel *s = arg;
    size_t len = bufferevent_read(b, s->heard, sizeof s->heard - 1);
    char port[8];

    s->heard[len] = '\0';
    if (s->silent)
        return;
    if (strstr(s->heard, "AUTH"))
        evbuffer_add_printf(bufferevent_get_output(b), "+OK\r\n");
    if (strstr(s->heard, "PING"))
        evbuffer_add_printf(bufferevent_get_output(b), "+PONG\r\n");
    if (!strstr(s->heard, "get-master-addr-by-name"))
        return;
    s->asked++;
    snprintf(port, sizeof port, "%d", s->master);
    if (s->master)
        evbuffer_add_printf(bufferevent_get_output(b), "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n",
                            strlen(port), port);
    else
        evbuffer_add_printf(bufferevent_get_output(b), "*-1\r\n");
}

static void on_end(struct bufferevent *b, short what, void *arg)
{
    (void)what;
    (void)arg;
    bufferevent_free(b);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len,
                      void *arg)
{
    struct bufferevent *b = bufferevent_socket_new(evconnlistener_get_base(l), fd,
                                                   BEV_OPT_CLOSE_ON_FREE);

    (void)from;
    (void)len;
    bufferevent_setcb(b, answer, NULL, on_end, arg);
    bufferevent_enable(b, EV_READ | EV_WRITE);
}

static void sentinel_start(struct sentinel *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;

    memset(s, 0, sizeof *s);
    s->listener = evconnlistener_new_bind(loop_base(loop), on_accept, s,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 8,
                                          (struct sockaddr *)&at, sizeof at);
    ck_assert_ptr_nonnull(s->listener);
    getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&at, &len);
    s->port = ntohs(at.sin_port);
    s->master = port_one;
}

static struct support_redis *start_server(int *port)
{
    char digits[8];

    *port = support_free_port();
    snprintf(digits, sizeof digits, "%d", *port);
    return support_redis_start_with((const char *const[]){ "--port", digits, NULL });
}

static void setup(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    memset(&got, 0, sizeof got);
    ups = 0;
    loop = loop_new();
    one = start_server(&port_one);
    two = start_server(&port_two);
    for (size_t i = 0; i < 2; i++)
        sentinel_start(&sentinels[i]);
}

static void teardown(void)
{
    redis_free(redis);
    for (size_t i = 0; i < 2; i++)
        evconnlistener_free(sentinels[i].listener);
    loop_free(loop);
    support_redis_stop(two);
    support_redis_stop(one);
}

static void on_state(void *arg, bool up)
{
    (void)arg;
    ups += up;
}

static void on_reply(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct redis_arg text = redis_reply_text(reply);

    (void)arg;
    got.count++;
    got.code = e ? e->code : ERR_OK;
    snprintf(got.text, sizeof got.text, "%.*s", (int)text.len, text.s);
    snprintf(got.detail, sizeof got.detail, "%s", e ? e->detail : "");
}

static void open_at(int first, int second, const char *rest)
{
    struct redis_options o = { .connect_timeout = 1000, .timeout = 3000, .name = "test" };
    struct err e = ERR_NONE;
    char url[200];

    snprintf(url, sizeof url, "sentinel://127.0.0.1:%d,127.0.0.1:%d/%s", first, second, rest);
    o.url = url;
    ck_assert_msg(redis_new(loop, &o, &redis, &e) == ERR_OK, "%s", e.detail);
    redis_on_state(redis, on_state, NULL);
}

static void open_both(void)
{
    open_at(sentinels[0].port, sentinels[1].port, "mymaster");
}

static void command(const char *a, const char *b, const char *c)
{
    struct redis_arg argv[] = { redis_str(a), redis_str(b), redis_str(c) };
    int before = got.count;

    ck_assert_ptr_nonnull(redis_command(redis, 0, argv, *c ? 3 : *b ? 2 : 1, on_reply, NULL));
    support_until_count(loop, &got.count, before + 1);
}

static bool has(struct support_redis *server, const char *key, const char *value)
{
    char *said = support_redis_ask(server, "GET %s", key);
    bool yes = strcmp(said, value) == 0;

    free(said);
    return yes;
}

START_TEST(the_master_is_where_a_sentinel_says)
{
    open_at(sentinels[0].port, sentinels[1].port, "mymaster/3");
    command("SET", "k", "v");
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_ptr_nonnull(strstr(sentinels[0].heard, "mymaster"));
    ck_assert_int_eq(sentinels[0].asked + sentinels[1].asked, 1);
    free(support_redis_ask(one, "SWAPDB 0 3"));
    ck_assert(has(one, "k", "v"));
}
END_TEST

START_TEST(a_sentinel_that_is_not_there_is_passed_over)
{
    open_at(support_free_port(), sentinels[1].port, "mymaster");
    command("PING", "", "");
    ck_assert_int_eq(got.code, ERR_OK);
}
END_TEST

START_TEST(a_sentinel_that_says_nothing_is_passed_over)
{
    int64_t began = clock_ms();

    sentinels[0].silent = true;
    open_both();
    command("PING", "", "");
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_lt(clock_ms() - began, 1000);
}
END_TEST

START_TEST(a_sentinel_that_does_not_know_the_name_is_passed_over)
{
    sentinels[0].master = 0;
    open_both();
    command("PING", "", "");
    ck_assert_int_eq(got.code, ERR_OK);
}
END_TEST

START_TEST(without_a_sentinel_that_knows_calls_fail_and_say_why)
{
    sentinels[0].master = sentinels[1].master = 0;
    open_both();
    command("PING", "", "");
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(got.detail, "no sentinel says where mymaster is"));
    ck_assert_ptr_nonnull(strstr(got.detail, "it knows no such master"));
    sentinels[0].master = sentinels[1].master = port_one;
    support_until_count(loop, &ups, 1);
}
END_TEST

START_TEST(a_server_that_is_not_the_master_is_not_used)
{
    char port[8];

    snprintf(port, sizeof port, "%d", port_one);
    free(support_redis_ask(two, "REPLICAOF 127.0.0.1 %s", port));
    sentinels[0].master = sentinels[1].master = port_two;
    open_both();
    command("PING", "", "");
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(got.detail, "is not the master"));
    ck_assert_int_eq(ups, 0);
    sentinels[0].master = sentinels[1].master = port_one;
    support_until_count(loop, &ups, 1);
}
END_TEST

START_TEST(when_the_server_is_gone_they_are_asked_again)
{
    open_both();
    support_until_count(loop, &ups, 1);
    sentinels[0].master = sentinels[1].master = port_two;
    support_redis_kill(one);
    support_until_count(loop, &ups, 2);
    command("SET", "k", "second");
    ck_assert(has(two, "k", "second"));
}
END_TEST

START_TEST(when_the_server_is_the_master_no_more_they_are_asked_again)
{
    char port[8];
    int64_t began;

    open_both();
    support_until_count(loop, &ups, 1);
    began = clock_ms();
    snprintf(port, sizeof port, "%d", port_two);
    free(support_redis_ask(one, "REPLICAOF 127.0.0.1 %s", port));
    sentinels[0].master = sentinels[1].master = port_two;
    command("SET", "k", "first");
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(got.detail, "READONLY"));
    support_until_count(loop, &ups, 2);
    ck_assert_int_lt(clock_ms() - began, 1000);     /* not because they are asked now and then */
    command("SET", "k", "second");
    ck_assert(has(two, "k", "second"));
}
END_TEST

START_TEST(a_server_of_which_two_sentinels_say_so_is_left)
{
    open_both();
    support_until_count(loop, &ups, 1);
    sentinels[0].master = sentinels[1].master = port_two;
    support_until_count(loop, &ups, 2);
    command("SET", "k", "second");
    ck_assert(has(two, "k", "second"));
}
END_TEST

START_TEST(what_one_sentinel_alone_says_changes_nothing)
{
    sentinels[1].master = port_two;
    open_both();
    support_until_count(loop, &ups, 1);
    support_until_count(loop, &sentinels[1].asked, 2);
    command("SET", "k", "first");
    ck_assert(has(one, "k", "first"));
    ck_assert_int_eq(ups, 1);
}
END_TEST

START_TEST(the_sentinels_password_goes_to_them_and_no_other_does)
{
    struct redis_options o = { .connect_timeout = 1000, .timeout = 1000, .name = "test" };
    char url[200];

    free(support_redis_ask(one, "ACL SETUSER u on >p ~* &* +@all"));
    snprintf(url, sizeof url, "sentinel://u:p@127.0.0.1:%d/m?sentinel_auth=s%%40:t",
             sentinels[0].port);
    o.url = url;
    sentinels[0].silent = true;         /* so that all it hears is in heard */
    ck_assert_int_eq(redis_new(loop, &o, &redis, NULL), ERR_OK);
    support_turn(loop, 50);
    ck_assert_ptr_nonnull(strstr(sentinels[0].heard, "AUTH\r\n$2\r\ns@\r\n$1\r\nt\r\n"));
    sentinels[0].silent = false;
    redis_on_state(redis, on_state, NULL);
    support_until_count(loop, &ups, 1);
    command("ACL", "WHOAMI", "");
    ck_assert_str_eq(got.text, "u");
}
END_TEST

START_TEST(a_redis_may_be_freed_while_a_sentinel_is_asked)
{
    sentinels[0].silent = true;
    open_both();
    support_turn(loop, 50);
    ck_assert_str_ne(sentinels[0].heard, "");
    redis_free(redis);
    redis = NULL;
    support_turn(loop, 600);
    ck_assert_int_eq(sentinels[1].asked, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis, sentinels");
    TCase *tc = tcase_create("sentinels");

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_master_is_where_a_sentinel_says);
    tcase_add_test(tc, a_sentinel_that_is_not_there_is_passed_over);
    tcase_add_test(tc, a_sentinel_that_says_nothing_is_passed_over);
    tcase_add_test(tc, a_sentinel_that_does_not_know_the_name_is_passed_over);
    tcase_add_test(tc, without_a_sentinel_that_knows_calls_fail_and_say_why);
    tcase_add_test(tc, a_server_that_is_not_the_master_is_not_used);
    tcase_add_test(tc, when_the_server_is_gone_they_are_asked_again);
    tcase_add_test(tc, when_the_server_is_the_master_no_more_they_are_asked_again);
    tcase_add_test(tc, a_server_of_which_two_sentinels_say_so_is_left);
    tcase_add_test(tc, what_one_sentinel_alone_says_changes_nothing);
    tcase_add_test(tc, the_sentinels_password_goes_to_them_and_no_other_does);
    tcase_add_test(tc, a_redis_may_be_freed_while_a_sentinel_is_asked);
    return support_run(suite);
}
