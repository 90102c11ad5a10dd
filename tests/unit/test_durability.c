/* Whether Redis keeps what it acknowledges. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/chat/durability.h"
#include "tests/unit/support.h"

static struct support_redis *server;
static struct loop *loop;
static struct redis *redis;
static bool told;
static int64_t min_replicas;
static char problem[400];
static enum err_code failed_with;

static void setup(void)
{
    struct redis_options o;
    struct err e = ERR_NONE;

    log_init("test", LOG_LEVEL_ERROR);
    server = support_redis_start();
    o = (struct redis_options){ .url = support_redis_url(server), .connect_timeout = 2000,
                                .timeout = 2000, .name = "test" };
    loop = loop_new();
    ck_assert_int_eq(redis_new(loop, &o, &redis, &e), ERR_OK);
}

static void teardown(void)
{
    redis_free(redis);
    loop_free(loop);
    support_redis_stop(server);
}

static void on_durability(void *arg, const char *what, const struct err *e)
{
    ck_assert_ptr_eq(arg, &told);
    told = true;
    failed_with = e ? e->code : ERR_OK;
    snprintf(problem, sizeof problem, "%s", what ? what : "");
}

static void check_now(void)
{
    told = false;
    ck_assert_ptr_nonnull(durability_check(redis, min_replicas, on_durability, &told));
    ck_assert(!told);
    support_until(loop, &told);
}

static void set(const char *name, const char *value)
{
    char *said = support_redis_ask(server, "CONFIG SET %s %s", name, value);

    ck_assert_str_eq(said, "OK");
    free(said);
}

START_TEST(a_redis_set_up_well_has_no_problem)
{
    check_now();
    ck_assert_str_eq(problem, "");
    ck_assert_int_eq(failed_with, ERR_OK);
}
END_TEST

START_TEST(each_wrong_setting_is_named_with_what_to_set)
{
    set("appendfsync", "everysec");
    check_now();
    ck_assert_str_eq(problem, "appendfsync is everysec: set it to always");
    set("maxmemory-policy", "allkeys-lru");
    check_now();
    ck_assert_str_eq(problem, "appendfsync is everysec: set it to always; "
                              "maxmemory-policy is allkeys-lru: set it to noeviction");
    set("appendfsync", "always");
    set("maxmemory-policy", "noeviction");
    set("appendonly", "no");
    check_now();
    ck_assert_str_eq(problem, "appendonly is no: set it to yes");
    ck_assert_int_eq(failed_with, ERR_OK);
}
END_TEST

static bool follows(void *arg)
{
    char *said = support_redis_ask(server, "INFO replication");
    bool yes = strstr(said, "state=online") != NULL;

    (void)arg;
    free(said);
    return yes;
}

START_TEST(too_few_replicas_are_counted)
{
    struct support_redis *replica;
    char port[8];

    min_replicas = 1;
    set("appendonly", "no");
    check_now();
    ck_assert_str_eq(problem, "appendonly is no: set it to yes; "
                              "replicas connected: 0, REDIS_MIN_REPLICAS wants 1");
    set("appendonly", "yes");
    check_now();
    ck_assert_str_eq(problem, "replicas connected: 0, REDIS_MIN_REPLICAS wants 1");
    snprintf(port, sizeof port, "%d", support_free_port());
    set("port", port);
    set("repl-diskless-sync-delay", "0");
    replica = support_redis_start_with((const char *const[]){ "--replicaof", "127.0.0.1", port,
                                                              NULL });
    support_until_true(loop, follows, NULL);
    check_now();
    ck_assert_str_eq(problem, "");
    ck_assert_int_eq(failed_with, ERR_OK);
    support_redis_stop(replica);
}
END_TEST

START_TEST(a_user_that_may_not_count_replicas_is_told_so)
{
    min_replicas = 1;
    free(support_redis_ask(server, "ACL SETUSER default -role"));
    check_now();
    ck_assert_ptr_nonnull(strstr(problem, "ROLE is not allowed"));
    ck_assert_int_ne(failed_with, ERR_OK);
}
END_TEST

START_TEST(a_user_that_may_not_ask_is_told_so)
{
    free(support_redis_ask(server, "ACL SETUSER default -config"));
    check_now();
    ck_assert_ptr_nonnull(strstr(problem, "CONFIG GET is not allowed"));
    ck_assert_int_ne(failed_with, ERR_OK);
    ck_assert_int_ne(failed_with, ERR_STORE);
}
END_TEST

START_TEST(without_redis_nothing_is_known)
{
    support_redis_kill(server);
    check_now();
    ck_assert_str_eq(problem, "");
    ck_assert_int_eq(failed_with, ERR_STORE);
}
END_TEST

START_TEST(a_cancelled_check_tells_nobody)
{
    struct durability_call *c = durability_check(redis, 0, on_durability, &told);

    told = false;
    durability_call_cancel(c);
    durability_call_cancel(NULL);
    support_turn(loop, 50);
    ck_assert(!told);
    check_now();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("durability");
    TCase *check = tcase_create("check");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, check);
    tcase_add_checked_fixture(check, setup, teardown);
    tcase_set_timeout(check, 60);
    tcase_add_test(check, a_redis_set_up_well_has_no_problem);
    tcase_add_test(check, each_wrong_setting_is_named_with_what_to_set);
    tcase_add_test(check, too_few_replicas_are_counted);
    tcase_add_test(check, a_user_that_may_not_count_replicas_is_told_so);
    tcase_add_test(check, a_user_that_may_not_ask_is_told_so);
    tcase_add_test(check, without_redis_nothing_is_known);
    tcase_add_test(check, a_cancelled_check_tells_nobody);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
