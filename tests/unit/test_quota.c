/* How much a key may ask: two processes, one Redis. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/chat/quota.h"
#include "tests/unit/support.h"

enum { ASKS = 200 };

static struct support_redis *server;
static struct loop *loop;
static struct settings settings;
static struct process { struct redis *redis; struct quota *quota; } one, two;

static bool is_up(void *arg)
{
    return redis_is_up(arg);
}

static void process_start(struct process *p)
{
    struct redis_options o = { .url = support_redis_url(server), .connect_timeout = 2000,
                               .timeout = 500, .name = "test" };
    struct err e = ERR_NONE;

    ck_assert_int_eq(redis_new(loop, &o, &p->redis, &e), ERR_OK);
    support_until_true(loop, is_up, p->redis);
    p->quota = quota_new(loop, p->redis, &settings);
    ck_assert_ptr_nonnull(p->quota);
}

/* As by SIGKILL: gives nothing back. */
static void process_kill(struct process *p)
{
    quota_free(p->quota);
    redis_free(p->redis);
    *p = (struct process){ NULL, NULL };
}

static void setup(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    server = support_redis_start();
    loop = loop_new();
    settings = (struct settings){ .session.lease = 600, .limits.usage_ttl = 86400000 };
    process_start(&one);
    process_start(&two);
}

static void teardown(void)
{
    process_kill(&one);
    process_kill(&two);
    loop_free(loop);
    support_redis_stop(server);
}

static struct apikey *key_with(int64_t rpm, int64_t in_flight, int64_t tokens)
{
    struct apikey_spec spec = { .tenant = "t", .name = "n", .limits = { rpm, in_flight, tokens } };
    struct apikey_limits none = { 0, 0, 0 };

    apikey_hash("k", 1, spec.hash);
    return apikey_new(&spec, NULL, &none);
}

struct ask {
    struct quota_grant *grant;
    bool                answered;
    enum err_code       code;
    int                 retry_after;
    struct quota_state  state;
};

static int answered;

static void on_quota(void *arg, const struct quota_state *state, const struct err *e)
{
    struct ask *a = arg;

    ck_assert(!a->answered);
    a->answered = true;
    answered++;
    a->code = e ? e->code : ERR_OK;
    a->retry_after = e ? e->retry_after : 0;
    if (state)
        a->state = *state;
}

static void begin(struct ask *a, struct process *p, struct apikey *key, enum quota_kind kind,
                  int64_t tokens)
{
    *a = (struct ask){ 0 };
    a->grant = quota_ask(p->quota, key, kind, tokens, on_quota, a);
    ck_assert_ptr_nonnull(a->grant);
    ck_assert(!a->answered);
}

static void ask_now(struct ask *a, struct process *p, struct apikey *key, enum quota_kind kind,
                    int64_t tokens)
{
    begin(a, p, key, kind, tokens);
    support_until(loop, &a->answered);
}

/* `count` at once, from both; how many were let in. */
static int all_at_once(struct ask *asks, int count, struct apikey *keys[2], enum quota_kind kind,
                       int64_t tokens)
{
    int granted = 0;

    answered = 0;
    for (int i = 0; i < count; i++)
        begin(&asks[i], i % 2 ? &one : &two, keys[i % 2], kind, tokens);
    support_until_count(loop, &answered, count);
    for (int i = 0; i < count; i++) {
        ck_assert(asks[i].code == ERR_OK || asks[i].code == ERR_LIMITED);
        granted += asks[i].code == ERR_OK;
    }
    return granted;
}

static void end_all(struct ask *asks, int count, const struct quota_spent *spent)
{
    for (int i = 0; i < count; i++)
        quota_end(asks[i].grant, asks[i].code == ERR_OK ? spent : NULL);
}

static struct quota_usage usage;
static bool usage_read;

static void on_usage(void *arg, const struct quota_usage *rows, size_t count, const struct err *e)
{
    (void)arg;
    ck_assert_ptr_null(e);
    ck_assert_uint_le(count, 1);
    usage = count ? rows[0] : (struct quota_usage){ .id = "" };
    usage_read = true;
}

static const struct quota_usage *used(void)
{
    usage_read = false;
    ck_assert_ptr_nonnull(quota_read(two.redis ? two.redis : one.redis, "t", 2, on_usage, NULL));
    support_until(loop, &usage_read);
    return &usage;
}

static bool total_is(void *arg)
{
    return used()->total == *(int64_t *)arg;
}

static bool nothing_reserved(void *arg)
{
    (void)arg;
    return used()->reserved == 0;
}

START_TEST(requests_a_minute_hold_across_processes)
{
    struct apikey *keys[2] = { key_with(50, 0, 0), key_with(50, 0, 0) };
    struct ask asks[ASKS];

    ck_assert_int_eq(all_at_once(asks, ASKS, keys, QUOTA_REQUEST, 0), 50);
    end_all(asks, ASKS, NULL);
    ck_assert_int_eq(used()->requests, 50);
    ck_assert_int_eq(used()->refused, ASKS - 50);
    apikey_unref(keys[0]);
    apikey_unref(keys[1]);
}
END_TEST

START_TEST(a_request_is_let_in_when_the_oldest_is_a_minute_old)
{
    struct apikey *key = key_with(2, 0, 0);
    struct ask a;

    for (int i = 0; i < 2; i++) {
        ask_now(&a, &one, key, QUOTA_REQUEST, 0);
        ck_assert_int_eq(a.code, ERR_OK);
        ck_assert_int_eq(a.state.of[QUOTA_REQUESTS].left, 1 - i);
        quota_end(a.grant, NULL);
    }
    ask_now(&a, &one, key, QUOTA_REQUEST, 0);
    ck_assert_int_eq(a.code, ERR_LIMITED);
    ck_assert_int_ge(a.retry_after, 59);
    ck_assert_int_le(a.retry_after, 60);
    quota_end(a.grant, NULL);

    /* The oldest is moved a minute back. */
    free(support_redis_ask(server, "EVAL %s 1 c1:{t}:k:%s:times",
        "local t = redis.call('LINDEX', KEYS[1], -1) redis.call('LSET', KEYS[1], -1, "
        "string.format('%.0f', t - 60000)) return 1", key->id));
    ask_now(&a, &two, key, QUOTA_REQUEST, 0);
    ck_assert_int_eq(a.code, ERR_OK);
    ck_assert_int_eq(a.state.of[QUOTA_REQUESTS].left, 0);
    quota_end(a.grant, NULL);
    apikey_unref(key);
}
END_TEST

START_TEST(turns_in_flight_hold_across_processes_and_come_free)
{
    struct apikey *keys[2] = { key_with(0, 7, 0), key_with(0, 7, 0) };
    struct ask asks[ASKS];

    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(all_at_once(asks, 100, keys, QUOTA_TURN, 10), 7);
        end_all(asks, 100, NULL);
        support_until_true(loop, nothing_reserved, NULL);
    }
    apikey_unref(keys[0]);
    apikey_unref(keys[1]);
}
END_TEST

START_TEST(tokens_a_day_hold_across_processes)
{
    static const struct quota_spent ten = { 8, 2, 10 };
    struct apikey *keys[2] = { key_with(0, 0, 1000), key_with(0, 0, 1000) };
    struct ask asks[ASKS];
    int64_t all = 1000;

    /* Set aside 25 each, used 10 each: what is given back is used in the rounds after. */
    ck_assert_int_eq(all_at_once(asks, ASKS, keys, QUOTA_TURN, 25), 40);
    end_all(asks, ASKS, &ten);
    support_until_true(loop, nothing_reserved, NULL);
    ck_assert_int_eq(used()->total, 400);
    ck_assert_int_eq(all_at_once(asks, ASKS, keys, QUOTA_TURN, 10), 60);
    end_all(asks, ASKS, &ten);
    support_until_true(loop, total_is, &all);
    ck_assert_int_eq(all_at_once(asks, 10, keys, QUOTA_TURN, 10), 0);
    ck_assert_int_eq(asks[0].state.met, QUOTA_TOKENS);
    end_all(asks, 10, NULL);
    ck_assert_int_eq(used()->prompt, 800);
    ck_assert_int_eq(used()->completion, 200);
    apikey_unref(keys[0]);
    apikey_unref(keys[1]);
}
END_TEST

START_TEST(one_alone_begins_as_long_as_anything_is_left)
{
    static const struct quota_spent most = { 0, 99, 99 };
    struct apikey *key = key_with(0, 0, 100);
    struct ask a, b;

    ask_now(&a, &one, key, QUOTA_TURN, 5000);
    ck_assert_int_eq(a.code, ERR_OK);
    ask_now(&b, &two, key, QUOTA_TURN, 1);
    ck_assert_int_eq(b.code, ERR_LIMITED);
    quota_end(b.grant, NULL);
    quota_end(a.grant, &most);
    support_until_true(loop, nothing_reserved, NULL);
    ask_now(&a, &one, key, QUOTA_TURN, 5000);
    ck_assert_int_eq(a.code, ERR_OK);
    quota_end(a.grant, &most);
    support_until_true(loop, nothing_reserved, NULL);
    ask_now(&a, &one, key, QUOTA_TURN, 1);
    ck_assert_int_eq(a.code, ERR_LIMITED);
    ck_assert_int_gt(a.retry_after, 0);
    quota_end(a.grant, NULL);
    apikey_unref(key);
}
END_TEST

static bool gets_in(void *arg)
{
    struct ask a;
    bool in;

    ask_now(&a, &two, arg, QUOTA_TURN, 10);
    in = a.code == ERR_OK;
    quota_end(a.grant, NULL);
    return in;
}

START_TEST(what_a_killed_process_held_comes_free_with_its_tokens)
{
    struct apikey *dead = key_with(0, 1, 1000), *key = key_with(0, 1, 1000);
    struct ask a;

    ask_now(&a, &one, dead, QUOTA_TURN, 900);
    ck_assert_int_eq(used()->reserved, 900);
    process_kill(&one);
    ck_assert(!gets_in(key));
    support_until_true(loop, gets_in, key);
    support_until_true(loop, nothing_reserved, NULL);
    apikey_unref(dead);
    apikey_unref(key);
}
END_TEST

START_TEST(a_turn_longer_than_its_lease_keeps_its_place)
{
    struct apikey *key = key_with(0, 1, 0);
    struct ask a;

    ask_now(&a, &one, key, QUOTA_TURN, 10);
    for (int i = 0; i < 10; i++) {
        support_turn(loop, settings.session.lease / 4);
        ck_assert(!gets_in(key));
    }
    quota_end(a.grant, NULL);
    support_until_true(loop, gets_in, key);
    apikey_unref(key);
}
END_TEST

START_TEST(one_that_was_taken_for_dead_gets_its_place_back)
{
    struct apikey *key = key_with(0, 1, 1000);
    struct quota_spent spent = { 1, 2, 3 };
    int64_t all = 3;
    struct ask a;

    ask_now(&a, &one, key, QUOTA_TURN, 10);
    free(support_redis_ask(server, "DEL c1:{t}:k:%s:flight", key->id));
    support_turn(loop, settings.session.lease);
    ck_assert(!gets_in(key));
    quota_end(a.grant, &spent);
    support_until_true(loop, total_is, &all);
    apikey_unref(key);
}
END_TEST

START_TEST(an_end_that_came_while_redis_was_away_is_made_up_for_once)
{
    struct apikey *key = key_with(0, 2, 100000);
    struct quota_spent spent = { 1, 2, 3 };
    int64_t all = 3;
    struct ask a;

    ask_now(&a, &one, key, QUOTA_TURN, 10);
    support_redis_kill(server);
    quota_end(a.grant, &spent);
    support_turn(loop, 100);
    support_redis_again(server);
    support_until_true(loop, is_up, two.redis);
    support_until_true(loop, total_is, &all);
    support_turn(loop, settings.session.lease);
    ck_assert_int_eq(used()->total, 3);
    apikey_unref(key);
}
END_TEST

START_TEST(who_ends_before_the_answer_has_come_leaves_nothing_behind)
{
    struct apikey *key = key_with(10, 1, 1000);
    struct ask a;

    begin(&a, &one, key, QUOTA_TURN, 10);
    ck_assert(quota_pending(a.grant));
    quota_end(a.grant, NULL);
    support_until_true(loop, gets_in, key);
    support_until_true(loop, nothing_reserved, NULL);
    ck_assert(!a.answered);
    apikey_unref(key);
}
END_TEST

START_TEST(with_redis_away_it_is_a_fault_of_the_store)
{
    struct apikey *key = key_with(10, 0, 0);
    struct ask a;

    support_redis_kill(server);
    ask_now(&a, &one, key, QUOTA_REQUEST, 0);
    ck_assert_int_eq(a.code, ERR_STORE);
    quota_end(a.grant, NULL);
    support_redis_again(server);
    apikey_unref(key);
}
END_TEST

START_TEST(a_key_without_limits_asks_nobody_and_is_in_the_books)
{
    static const struct quota_spent ten = { 8, 2, 10 };
    struct apikey *key = key_with(0, 0, 0);
    int64_t all = 30;
    struct ask a;

    for (int i = 0; i < 3; i++) {
        begin(&a, &one, key, QUOTA_TURN, 10);
        ck_assert(!quota_pending(a.grant));
        quota_end(a.grant, &ten);
        ck_assert(!a.answered);
    }
    support_until_true(loop, total_is, &all);
    ck_assert_int_eq(used()->turns, 3);
    ck_assert_int_eq(used()->requests, 3);
    ck_assert_str_eq(used()->name, "n");
    ck_assert_str_eq(used()->id, key->id);
    apikey_unref(key);
}
END_TEST

static void on_stopped(void *arg)
{
    *(bool *)arg = true;
}

START_TEST(a_stop_waits_until_all_is_written_down)
{
    static const struct quota_spent ten = { 8, 2, 10 };
    struct apikey *free_key = key_with(0, 0, 0);
    bool stopped = false;
    struct ask a;

    begin(&a, &one, free_key, QUOTA_TURN, 10);
    quota_end(a.grant, &ten);
    quota_stop(one.quota, on_stopped, &stopped);
    ck_assert(!stopped);
    support_until(loop, &stopped);
    process_kill(&one);
    ck_assert_int_eq(used()->total, 10);
    apikey_unref(free_key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quota");
    TCase *t = tcase_create("quota");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, requests_a_minute_hold_across_processes);
    tcase_add_test(t, a_request_is_let_in_when_the_oldest_is_a_minute_old);
    tcase_add_test(t, turns_in_flight_hold_across_processes_and_come_free);
    tcase_add_test(t, tokens_a_day_hold_across_processes);
    tcase_add_test(t, one_alone_begins_as_long_as_anything_is_left);
    tcase_add_test(t, what_a_killed_process_held_comes_free_with_its_tokens);
    tcase_add_test(t, a_turn_longer_than_its_lease_keeps_its_place);
    tcase_add_test(t, one_that_was_taken_for_dead_gets_its_place_back);
    tcase_add_test(t, an_end_that_came_while_redis_was_away_is_made_up_for_once);
    tcase_add_test(t, who_ends_before_the_answer_has_come_leaves_nothing_behind);
    tcase_add_test(t, with_redis_away_it_is_a_fault_of_the_store);
    tcase_add_test(t, a_key_without_limits_asks_nobody_and_is_in_the_books);
    tcase_add_test(t, a_stop_waits_until_all_is_written_down);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
