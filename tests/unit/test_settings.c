/* The table of settings, and what its rows say about each other. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/settings.h"
#include "tests/unit/support.h"

static struct settings s;
static char *report;

static bool load(const char *env1, const char *env2, const char *env3)
{
    const char *env[] = { env1, env2, env3, NULL };
    size_t size;
    FILE *out;
    bool ok;

    settings_free(&s);
    free(report);
    out = open_memstream(&report, &size);
    ok = settings_load_from(&s, NULL, (char *const *)env, out);
    fclose(out);
    return ok;
}

static void teardown(void)
{
    settings_free(&s);
    free(report);
    report = NULL;
}

START_TEST(with_nothing_given_the_promised_defaults_hold)
{
    ck_assert_msg(load(NULL, NULL, NULL), "%s", report);
    ck_assert_str_eq(s.model.base_url, "https://api.openai.com/v1");
    ck_assert_str_eq(s.model.name, "gpt-4o-mini");
    ck_assert_int_eq(s.model.connect_timeout, 5000);
    ck_assert_int_eq(s.model.first_token_timeout, 60000);
    ck_assert_int_eq(s.model.idle_timeout, 60000);
    ck_assert_int_eq(s.model.turn_timeout, 300000);
    ck_assert_int_eq(s.model.retries, 2);
    ck_assert_int_eq(s.session.busy, SESSION_BUSY_WAIT);
    ck_assert_int_eq(s.session.on_disconnect, ON_DISCONNECT_CANCEL);
    ck_assert_int_eq(s.session.idempotency_ttl, 24 * 3600 * 1000);
    ck_assert_int_eq(s.session.ttl, 30LL * 24 * 3600 * 1000);
    ck_assert_int_eq(s.tasks.attempts, 25);
    ck_assert_int_eq(s.tasks.retry_max, 3600 * 1000);
    ck_assert_int_eq(s.tasks.fault_grace, 24 * 3600 * 1000);
    ck_assert_int_eq(s.server.max_user_text, 32 * 1024);
    ck_assert_int_eq(s.server.max_body, 1024 * 1024);
    ck_assert_int_eq(s.server.keepalive, 15000);
    ck_assert_int_eq(s.redis.durability, DURABILITY_REQUIRE);
    ck_assert_int_lt(s.redis.timeout, 1000);
    ck_assert_int_eq(s.model.demo, DEMO_OFF);
    ck_assert_str_eq(s.google.scope, "https://www.googleapis.com/auth/drive");
}
END_TEST

START_TEST(no_two_rows_share_a_name_a_variable_or_a_field)
{
    for (size_t i = 0; i < settings_count; i++) {
        ck_assert(settings_rows[i].help && *settings_rows[i].help);
        for (size_t j = 0; j < i; j++) {
            const struct conf_row *a = &settings_rows[i], *b = &settings_rows[j];

            ck_assert_str_ne(a->env, b->env);
            ck_assert_uint_ne(a->offset, b->offset);
            ck_assert(strcmp(a->section, b->section) != 0 || strcmp(a->name, b->name) != 0);
        }
    }
}
END_TEST

START_TEST(choices_are_in_the_order_of_their_enums)
{
    ck_assert(load("ON_DISCONNECT=finish", "SESSION_BUSY=reject", "DEMO=fallback"));
    ck_assert_int_eq(s.session.on_disconnect, ON_DISCONNECT_FINISH);
    ck_assert_int_eq(s.session.busy, SESSION_BUSY_REJECT);
    ck_assert_int_eq(s.model.demo, DEMO_FALLBACK);
    ck_assert(load("REDIS_DURABILITY=warn", "MODEL_USAGE=omit", "LOG_LEVEL=error"));
    ck_assert_int_eq(s.redis.durability, DURABILITY_WARN);
    ck_assert_int_eq(s.model.usage, MODEL_USAGE_OMIT);
    ck_assert_int_eq(s.server.log_level, 3);
}
END_TEST

START_TEST(the_demo_answers_only_as_a_fallback_and_only_without_key_and_url)
{
    ck_assert(load("DEMO=fallback", "OPENAI_API_KEY=", "OPENAI_BASE_URL="));
    ck_assert(settings_use_demo(&s) && !settings_has_model(&s));
    ck_assert(load("DEMO=fallback", "OPENAI_API_KEY=x", NULL));
    ck_assert(!settings_use_demo(&s) && settings_has_model(&s));
    ck_assert(load("DEMO=fallback", "OPENAI_BASE_URL=https://api.openai.com/v1", NULL));
    ck_assert(!settings_use_demo(&s) && settings_has_model(&s));
    ck_assert(load(NULL, NULL, NULL));
    ck_assert(!settings_use_demo(&s) && !settings_has_model(&s));
}
END_TEST

START_TEST(one_google_setting_asks_for_google_and_for_the_missing_one)
{
    ck_assert(load("GOOGLE_APPLICATION_CREDENTIALS=/k.json", "GOOGLE_DRIVE_FOLDER_ID=f", NULL));
    ck_assert(settings_use_google(&s));
    ck_assert(!load("GOOGLE_DRIVE_FOLDER_ID=f", NULL, NULL));
    ck_assert_ptr_nonnull(strstr(report, "GOOGLE_APPLICATION_CREDENTIALS"));
    ck_assert_ptr_null(strstr(report, "GOOGLE_DRIVE_FOLDER_ID"));
    ck_assert(!load("GOOGLE_SUBJECT=me@example.org", NULL, NULL));
    ck_assert_ptr_nonnull(strstr(report, "GOOGLE_APPLICATION_CREDENTIALS"));
    ck_assert_ptr_nonnull(strstr(report, "GOOGLE_DRIVE_FOLDER_ID"));
    ck_assert(load("GOOGLE_API_ROOT=http://127.0.0.1:1", NULL, NULL));
    ck_assert(!settings_use_google(&s));
}
END_TEST

START_TEST(settings_that_contradict_each_other_stop_the_start)
{
    static const struct { const char *a, *b, *c, *named; } table[] = {
        { "MODEL_IDLE_TIMEOUT=10m", NULL, NULL, "MODEL_TURN_TIMEOUT" },
        { "MODEL_FIRST_TOKEN_TIMEOUT=10m", NULL, NULL, "MODEL_TURN_TIMEOUT" },
        { "MODEL_CONNECT_TIMEOUT=10m", NULL, NULL, "MODEL_TURN_TIMEOUT" },
        { "MODEL_TURN_TIMEOUT=30s", NULL, NULL, "MODEL_TURN_TIMEOUT" },
        { "SESSION_LEASE=1s", NULL, NULL, "SESSION_LEASE" },
        { "SAVE_TIMEOUT=200ms", NULL, NULL, "SAVE_TIMEOUT" },
        { "TASK_LEASE=1s", NULL, NULL, "TASK_LEASE" },
        { "TASK_RETRY_BASE=10s", "TASK_RETRY_MAX=5s", NULL, "TASK_RETRY_MAX" },
        { "REDIS_MIN_REPLICAS=1", "REDIS_REPLICA_TIMEOUT=1m", "SESSION_LEASE=3m", "SESSION_LEASE" },
        { "TASK_LEASE=30s", "GOOGLE_APPLICATION_CREDENTIALS=/k", "GOOGLE_DRIVE_FOLDER_ID=f",
          "TASK_LEASE" },
        { "OPENAI_BASE_URL=api.openai.com", NULL, NULL, "OPENAI_BASE_URL" },
        { "MODEL_TEMPERATURE=hot", NULL, NULL, "MODEL_TEMPERATURE" },
        { "MODEL_TEMPERATURE=2.5", NULL, NULL, "MODEL_TEMPERATURE" },
        { "MODEL_TEMPERATURE=nan", NULL, NULL, "MODEL_TEMPERATURE" },
        { "MODEL_SYSTEM_ROLE=user", NULL, NULL, "MODEL_SYSTEM_ROLE" },
        { "MODEL_TOKEN_LIMIT_FIELD=n", NULL, NULL, "MODEL_TOKEN_LIMIT_FIELD" },
        { "MODEL_AUTH_HEADER=a b", NULL, NULL, "MODEL_AUTH_HEADER" },
        { "MAX_USER_TEXT=1m", NULL, NULL, "MAX_USER_TEXT" },
    };

    ck_assert(!load(table[_i].a, table[_i].b, table[_i].c));
    ck_assert_msg(strstr(report, table[_i].named) == report, "%s", report);
}
END_TEST

START_TEST(settings_that_agree_are_taken)
{
    ck_assert_msg(load("MODEL_TEMPERATURE=0.7", "MODEL_AUTH_HEADER=api-key", "TASK_LEASE=30s"),
                  "%s", report);
    ck_assert_msg(load("MODEL_TEMPERATURE=0", "MODEL_SYSTEM_ROLE=developer",
                       "MODEL_TOKEN_LIMIT_FIELD=max_tokens"), "%s", report);
}
END_TEST

START_TEST(the_number_of_requests_follows_from_the_open_files_unless_given)
{
    ck_assert(load(NULL, NULL, NULL));
    ck_assert_int_ge(s.server.max_requests, 1);
    ck_assert_int_le(s.server.max_requests, 8000);
    ck_assert(load("MAX_REQUESTS=12", NULL, NULL));
    ck_assert_int_eq(s.server.max_requests, 12);
}
END_TEST

START_TEST(the_file_named_by_confab_config_is_read)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/confab.ini", support_dir());
    f = fopen(path, "w");
    fputs("[model]\nname = from-the-file\n", f);
    fclose(f);
    setenv("CONFAB_CONFIG", path, 1);
    unsetenv("OPENAI_MODEL");
    ck_assert(settings_load(&s));
    ck_assert_str_eq(s.model.name, "from-the-file");
    settings_free(&s);
    setenv("OPENAI_MODEL", "from-the-environment", 1);
    ck_assert(settings_load(&s));
    ck_assert_str_eq(s.model.name, "from-the-environment");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *tc = tcase_create("settings");

    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, with_nothing_given_the_promised_defaults_hold);
    tcase_add_test(tc, no_two_rows_share_a_name_a_variable_or_a_field);
    tcase_add_test(tc, choices_are_in_the_order_of_their_enums);
    tcase_add_test(tc, the_demo_answers_only_as_a_fallback_and_only_without_key_and_url);
    tcase_add_test(tc, one_google_setting_asks_for_google_and_for_the_missing_one);
    tcase_add_loop_test(tc, settings_that_contradict_each_other_stop_the_start, 0, 17);
    tcase_add_test(tc, settings_that_agree_are_taken);
    tcase_add_test(tc, the_number_of_requests_follows_from_the_open_files_unless_given);
    tcase_add_test(tc, the_file_named_by_confab_config_is_read);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
