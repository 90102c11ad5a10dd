/* Scripts whose answer waits for a replica, against a real master and a real replica, which is
 * frozen and thawed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/io/redis.h"
#include "tests/unit/support.h"

enum { LONG_MS = 10000, SHORT_MS = 100 };

struct outcome {
    int           count;
    enum err_code code;
    int64_t       number;
    char          detail[400];
};

static const struct redis_script add = {
    "add", "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    "8cd00688c05c46bde4a2e60658ef20a2e5c0b248"
};
static const struct redis_script get = {
    "get", "return redis.call('GET', KEYS[1])", "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f"
};
static const struct redis_script broken = {
    "broken", "return redis.error_reply('NO this is wrong')",
    "27188e7596183ed55334dc6ffdd02e3e00b98e18"
};

static const struct redis_script *const scripts[] = { &add, &get, &broken };

static struct support_redis *master, *replica;
static struct loop *loop;
static struct redis *redis, *other, *patient;
static struct outcome got, got2;

static void on_reply(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct outcome *o = arg;

    ck_assert_msg(!reply == !!e, "exactly one of reply and err is set");
    o->count++;
    o->code = e ? e->code : ERR_OK;
    o->number = redis_reply_int(reply);
    snprintf(o->detail, sizeof o->detail, "%s", e ? e->detail : "");
}

static bool replica_follows(void *arg)
{
    char *said = support_redis_ask(master, "INFO replication");
    bool yes = strstr(said, "state=online") != NULL;

    (void)arg;
    free(said);
    return yes;
}

static struct redis *open_with(int64_t replica_timeout)
{
    struct redis_options o = { .url = support_redis_url(master), .connect_timeout = 2000,
                               .timeout = 2000, .name = "test", .replicas = 1,
                               .replica_timeout = replica_timeout };
    struct err e = ERR_NONE;
    struct redis *r;

    ck_assert_msg(redis_new(loop, &o, &r, &e) == ERR_OK, "%s", e.detail);
    return r;
}

static void start(int64_t replica_timeout)
{
    static char port[8];        /* the options are borrowed */

    log_init("test", LOG_LEVEL_ERROR);
    memset(&got, 0, sizeof got);
    memset(&got2, 0, sizeof got2);
    snprintf(port, sizeof port, "%d", support_free_port());
    loop = loop_new();
    master = support_redis_start_with((const char *const[]){
        "--port", port, "--repl-diskless-sync-delay", "0", NULL });
    replica = support_redis_start_with((const char *const[]){ "--replicaof", "127.0.0.1", port,
                                                              NULL });
    support_until_true(loop, replica_follows, NULL);
    for (size_t i = 0; i < 3; i++)
        free(support_redis_ask(master, "SCRIPT LOAD %s", scripts[i]->text));
    redis = open_with(replica_timeout);
    other = open_with(replica_timeout);
    patient = open_with(LONG_MS);
}

static void start_patient(void)
{
    start(LONG_MS);
}

static void start_impatient(void)
{
    start(SHORT_MS);
}

static void teardown(void)
{
    redis_free(redis);
    redis_free(other);
    redis_free(patient);
    loop_free(loop);
    support_redis_stop(replica);
    support_redis_stop(master);
}

static struct redis_call *call(struct redis *r, const struct redis_script *s, struct outcome *o)
{
    struct redis_arg key = REDIS_LIT("n"), one = REDIS_LIT("1");
    struct redis_call *made = redis_eval_kept(r, 0, s, &key, 1, &one, 1, on_reply, o);

    ck_assert_ptr_nonnull(made);
    return made;
}

static bool master_has_it(void *arg)
{
    char *n = support_redis_ask(master, "GET n");
    bool yes = strcmp(n, arg) == 0;

    free(n);
    return yes;
}

/* Freezes the replica with one call under way that the server has carried out. */
static struct redis_call *hold_one(struct outcome *o)
{
    struct redis_call *c;

    support_redis_freeze(replica);
    c = call(redis, &add, o);
    support_until_true(loop, master_has_it, "1");
    support_turn(loop, 20);
    ck_assert_int_eq(o->count, 0);
    return c;
}

START_TEST(an_answer_comes_when_the_replica_has_it)
{
    hold_one(&got);
    support_redis_thaw(replica);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.number, 1);
}
END_TEST

START_TEST(other_calls_do_not_wait_for_the_replica)
{
    struct redis_arg key = REDIS_LIT("n"), one = REDIS_LIT("1");

    hold_one(&got);
    redis_eval(redis, 0, &add, &key, 1, &one, 1, on_reply, &got2);
    support_until_count(loop, &got2.count, 1);
    ck_assert_int_eq(got2.number, 2);
    ck_assert_int_eq(got.count, 0);
}
END_TEST

START_TEST(what_is_called_meanwhile_goes_together_and_in_order)
{
    char *said;

    hold_one(&got);
    for (int i = 0; i < 100; i++)
        call(redis, i % 2 ? &get : &add, &got);
    support_redis_thaw(replica);
    support_until_count(loop, &got.count, 101);
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.number, 51);
    said = support_redis_ask(master, "INFO commandstats");
    /* One for the first, one for all others. */
    ck_assert_ptr_nonnull(strstr(said, "cmdstat_wait:calls=2,"));
    free(said);
}
END_TEST

START_TEST(a_script_that_the_server_does_not_know_is_sent_once_more)
{
    free(support_redis_ask(master, "SCRIPT FLUSH"));
    for (int i = 0; i < 3; i++)
        call(redis, &add, &got);
    support_until_count(loop, &got.count, 3);
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.number, 3);
}
END_TEST

START_TEST(a_replica_that_does_not_hear_is_told_and_the_write_stands)
{
    hold_one(&got);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(got.detail, "on 0 of 1 replicas after 100 ms"));
    ck_assert(master_has_it("1"));
}
END_TEST

/* Who asks again finds what another connection wrote: that has to be on the replica as well. */
START_TEST(what_a_repeat_finds_is_kept_before_it_is_told)
{
    hold_one(&got);
    support_until_count(loop, &got.count, 1);
    call(other, &get, &got2);
    support_until_count(loop, &got2.count, 1);
    ck_assert_int_eq(got2.code, ERR_STORE);
    support_redis_thaw(replica);
    call(patient, &get, &got2);
    support_until_count(loop, &got2.count, 2);
    ck_assert_int_eq(got2.code, ERR_OK);
    ck_assert_int_eq(got2.number, 1);
}
END_TEST

START_TEST(without_any_replica_nothing_is_acknowledged)
{
    support_redis_kill(replica);
    call(redis, &add, &got);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    support_redis_again(replica);
    support_until_true(loop, replica_follows, NULL);
    call(patient, &add, &got);
    support_until_count(loop, &got.count, 2);
    ck_assert_int_eq(got.code, ERR_OK);
    ck_assert_int_eq(got.number, 2);
}
END_TEST

START_TEST(a_script_that_failed_is_told_at_once)
{
    support_redis_freeze(replica);
    call(redis, &broken, &got);
    support_until_count(loop, &got.count, 1);
    ck_assert_int_eq(got.code, ERR_INTERNAL);
}
END_TEST

START_TEST(what_is_held_fails_when_the_server_dies)
{
    hold_one(&got);
    call(redis, &add, &got2);
    support_redis_kill(master);
    support_until_count(loop, &got.count, 1);
    support_until_count(loop, &got2.count, 1);
    ck_assert_int_eq(got.code, ERR_STORE);
    ck_assert_int_eq(got2.code, ERR_STORE);
}
END_TEST

START_TEST(a_cancelled_call_is_silent_and_the_others_are_not)
{
    struct redis_call *held = hold_one(&got), *gathered = call(redis, &add, &got);

    call(redis, &add, &got2);
    redis_call_cancel(held);
    redis_call_cancel(gathered);
    support_redis_thaw(replica);
    support_until_count(loop, &got2.count, 1);
    ck_assert_int_eq(got2.number, 2);       /* what was not sent yet was not carried out */
    ck_assert_int_eq(got.count, 0);
}
END_TEST

static void on_reply_free(void *arg, const struct redisReply *reply, const struct err *e)
{
    on_reply(arg, reply, e);
    redis_free(redis);
    redis = NULL;
}

START_TEST(a_redis_may_be_freed_in_a_callback_of_a_kept_call)
{
    struct redis_arg key = REDIS_LIT("n"), one = REDIS_LIT("1");

    hold_one(&got);
    redis_eval_kept(redis, 0, &add, &key, 1, &one, 1, on_reply_free, &got);
    redis_eval_kept(redis, 0, &add, &key, 1, &one, 1, on_reply_free, &got2);
    support_redis_thaw(replica);
    support_until_count(loop, &got.count, 2);
    support_turn(loop, 50);
    ck_assert_int_eq(got2.count, 0);
    ck_assert_ptr_null(redis);
}
END_TEST

static void on_reply_call(void *arg, const struct redisReply *reply, const struct err *e)
{
    on_reply(arg, reply, e);
    call(redis, &add, &got2);
}

START_TEST(a_callback_may_call_again)
{
    struct redis_arg key = REDIS_LIT("n"), one = REDIS_LIT("1");

    redis_eval_kept(redis, 0, &add, &key, 1, &one, 1, on_reply_call, &got);
    support_until_count(loop, &got2.count, 1);
    ck_assert_int_eq(got2.number, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis, kept");
    TCase *held = tcase_create("with patience"), *told = tcase_create("without");

    suite_add_tcase(suite, held);
    tcase_set_timeout(held, 60);
    tcase_add_checked_fixture(held, start_patient, teardown);
    tcase_add_test(held, an_answer_comes_when_the_replica_has_it);
    tcase_add_test(held, other_calls_do_not_wait_for_the_replica);
    tcase_add_test(held, what_is_called_meanwhile_goes_together_and_in_order);
    tcase_add_test(held, a_script_that_the_server_does_not_know_is_sent_once_more);
    tcase_add_test(held, a_script_that_failed_is_told_at_once);
    tcase_add_test(held, what_is_held_fails_when_the_server_dies);
    tcase_add_test(held, a_cancelled_call_is_silent_and_the_others_are_not);
    tcase_add_test(held, a_redis_may_be_freed_in_a_callback_of_a_kept_call);
    tcase_add_test(held, a_callback_may_call_again);
    suite_add_tcase(suite, told);
    tcase_set_timeout(told, 60);
    tcase_add_checked_fixture(told, start_impatient, teardown);
    tcase_add_test(told, a_replica_that_does_not_hear_is_told_and_the_write_stands);
    tcase_add_test(told, what_a_repeat_finds_is_kept_before_it_is_told);
    tcase_add_test(told, without_any_replica_nothing_is_acknowledged);
    return support_run(suite);
}
