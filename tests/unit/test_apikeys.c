/* Who a sent key is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/chat/apikeys.h"
#include "lib/chat/apikeys_admin.h"
#include "tests/unit/support.h"

static struct support_redis *server;
static struct loop *loop;
static struct redis *redis;
static struct settings settings;
static struct apikeys *keys;

static void open_keys(void)
{
    struct redis_options o = { .url = support_redis_url(server), .connect_timeout = 1000,
                               .timeout = 500, .name = "test" };
    struct err e = ERR_NONE;

    ck_assert_int_eq(redis_new(loop, &o, &redis, &e), ERR_OK);
    ck_assert_msg(apikeys_new(loop, redis, &settings, &keys, &e) == ERR_OK, "%s", e.detail);
}

static void close_keys(void)
{
    apikeys_free(keys);
    redis_free(redis);
}

static void setup(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    server = support_redis_start();
    loop = loop_new();
    settings = (struct settings){ .server.api_key = (char *)"", .server.api_keys_file = (char *)"",
                                  .limits.key_cache = 50 };
    open_keys();
}

static void teardown(void)
{
    close_keys();
    loop_free(loop);
    support_redis_stop(server);
}

static void again(void)
{
    close_keys();
    open_keys();
}

static struct answer { bool come; enum err_code code; char tenant[65]; struct apikey_limits limits; }
    answer;

static void on_key(void *arg, struct apikey *key, const struct err *e)
{
    (void)arg;
    ck_assert((key != NULL) != (e != NULL));
    answer.come = true;
    answer.code = e ? e->code : ERR_OK;
    if (key) {
        strcpy(answer.tenant, key->tenant);
        answer.limits = key->limits;
    }
}

/* The tenant, or the name of the error. Borrowed. */
static const char *who(const char *token)
{
    size_t len = token ? strlen(token) : 0;
    struct apikey *key = NULL;

    answer = (struct answer){ .come = false };
    switch (apikeys_known(keys, token, len, &key)) {
    case APIKEYS_YES: strcpy(answer.tenant, key->tenant); return answer.tenant;
    case APIKEYS_NO:  return err_name(ERR_UNAUTHORIZED);
    case APIKEYS_ASK: break;
    }
    ck_assert_ptr_nonnull(apikeys_ask(keys, token, len, on_key, NULL));
    ck_assert(!answer.come);
    support_until(loop, &answer.come);
    return answer.code == ERR_OK ? answer.tenant : err_name(answer.code);
}

static void on_done(void *arg, const char *name, const struct err *e)
{
    (void)name;
    ck_assert_msg(!e, "%s", e ? e->detail : "");
    *(bool *)arg = true;
}

static void add_key(const char *token, const char *tenant, int64_t rpm)
{
    struct apikey_spec spec = { .limits = { rpm, -1, -1 } };
    bool done = false;

    strcpy(spec.tenant, tenant);
    strcpy(spec.name, token);
    apikey_hash(token, strlen(token), spec.hash);
    ck_assert(apikeys_add(redis, &spec, on_done, &done));
    support_until(loop, &done);
}

static void revoke_key(const char *which)
{
    bool done = false;

    ck_assert(apikeys_revoke(redis, which, on_done, &done));
    support_until(loop, &done);
}

START_TEST(the_hash_is_the_one_that_sha256sum_prints)
{
    char hash[APIKEY_HASH_SIZE];

    apikey_hash("test", 4, hash);
    ck_assert_str_eq(hash, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
}
END_TEST

START_TEST(it_is_open_without_any_key)
{
    ck_assert_str_eq(who(NULL), "default");
    ck_assert_str_eq(who("whatever"), "default");
}
END_TEST

static bool is_closed(void *arg)
{
    (void)arg;
    return strcmp(who(NULL), err_name(ERR_UNAUTHORIZED)) == 0;
}

START_TEST(the_first_key_closes_it_for_good)
{
    ck_assert_str_eq(who(NULL), "default");
    add_key("key", "acme", -1);
    ck_assert_str_eq(who("key"), "acme");
    support_until_true(loop, is_closed, NULL);
    revoke_key("acme:key");
    again();
    ck_assert_str_eq(who(NULL), "unauthorized");
    ck_assert_str_eq(who("key"), "unauthorized");
}
END_TEST

static bool is_refused(void *arg)
{
    return strcmp(who(arg), err_name(ERR_UNAUTHORIZED)) == 0;
}

START_TEST(a_revoked_key_is_forgotten_soon)
{
    add_key("one", "acme", -1);
    add_key("two", "acme", -1);
    ck_assert_str_eq(who("one"), "acme");
    revoke_key("acme:one");
    support_until_true(loop, is_refused, (void *)"one");
    ck_assert_str_eq(who("two"), "acme");
}
END_TEST

START_TEST(what_is_remembered_needs_no_redis_for_a_while)
{
    struct apikey *key;

    settings.limits.key_cache = 60000;
    again();
    add_key("key", "acme", -1);
    ck_assert_str_eq(who("key"), "acme");
    ck_assert_int_eq(apikeys_known(keys, "key", 3, &key), APIKEYS_YES);
    ck_assert_int_eq(apikeys_known(keys, "kez", 3, &key), APIKEYS_ASK);
}
END_TEST

START_TEST(limits_come_from_the_key_or_else_the_settings)
{
    settings.limits.requests_per_minute = 7;
    settings.limits.in_flight = 3;
    again();
    add_key("own", "acme", 60);
    add_key("none", "acme", 0);
    add_key("settings", "acme", -1);
    ck_assert_str_eq(who("own"), "acme");
    ck_assert_int_eq(answer.limits.requests_per_minute, 60);
    ck_assert_int_eq(answer.limits.in_flight, 3);
    ck_assert_int_eq(answer.limits.tokens_per_day, 0);
    ck_assert_str_eq(who("none"), "acme");
    ck_assert_int_eq(answer.limits.requests_per_minute, 0);
    ck_assert_str_eq(who("settings"), "acme");
    ck_assert_int_eq(answer.limits.requests_per_minute, 7);
}
END_TEST

START_TEST(keys_of_the_settings_need_no_redis)
{
    char path[200];
    FILE *f;

    snprintf(path, sizeof(path), "%s/keys", support_dir());
    f = fopen(path, "w");
    fputs("# comment\n\nacme:web 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 "
          "rpm=5\n", f);
    fclose(f);
    settings.server.api_keys_file = path;
    settings.server.api_key = (char *)"the-key";
    again();
    support_redis_kill(server);
    ck_assert_str_eq(who("test"), "acme");
    ck_assert_str_eq(who("the-key"), "default");
    ck_assert_str_eq(who(NULL), "unauthorized");
    ck_assert_str_eq(who("other"), "storage_unavailable");
    support_redis_again(server);
}
END_TEST

START_TEST(with_access_open_known_keys_are_known)
{
    settings.server.access = ACCESS_OPEN;
    again();
    add_key("key", "acme", -1);
    ck_assert_str_eq(who("key"), "acme");
    ck_assert_str_eq(who("other"), "default");
    ck_assert_str_eq(who(NULL), "default");
}
END_TEST

START_TEST(with_access_keys_it_is_never_open)
{
    settings.server.access = ACCESS_KEYS;
    again();
    ck_assert_str_eq(who(NULL), "unauthorized");
    ck_assert_str_eq(who("other"), "unauthorized");
}
END_TEST

START_TEST(with_redis_away_nobody_is_let_in_unseen)
{
    support_redis_kill(server);
    again();
    ck_assert_str_eq(who(NULL), "storage_unavailable");
    ck_assert_str_eq(who("key"), "storage_unavailable");
    support_redis_again(server);
}
END_TEST

START_TEST(keys_that_share_a_place_in_the_cache_are_told_apart)
{
    char token[24], tenant[24];

    settings.limits.key_cache = 60000;
    again();
    for (int i = 0; i < 40; i++) {
        snprintf(token, sizeof(token), "key-%d", i);
        snprintf(tenant, sizeof(tenant), "tenant-%d", i);
        add_key(token, tenant, -1);
    }
    /* 1024 places; with 1600 look-ups some of these keys met in one. */
    for (int i = 0; i < 1600; i++) {
        snprintf(token, sizeof(token), "key-%d", i % 40);
        snprintf(tenant, sizeof(tenant), "tenant-%d", i % 40);
        ck_assert_str_eq(who(token), tenant);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("apikeys");
    TCase *t = tcase_create("apikeys");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, the_hash_is_the_one_that_sha256sum_prints);
    tcase_add_test(t, it_is_open_without_any_key);
    tcase_add_test(t, the_first_key_closes_it_for_good);
    tcase_add_test(t, a_revoked_key_is_forgotten_soon);
    tcase_add_test(t, what_is_remembered_needs_no_redis_for_a_while);
    tcase_add_test(t, limits_come_from_the_key_or_else_the_settings);
    tcase_add_test(t, keys_of_the_settings_need_no_redis);
    tcase_add_test(t, with_access_open_known_keys_are_known);
    tcase_add_test(t, with_access_keys_it_is_never_open);
    tcase_add_test(t, with_redis_away_nobody_is_let_in_unseen);
    tcase_add_test(t, keys_that_share_a_place_in_the_cache_are_told_apart);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
