/* The sections [upstream "NAME"]. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/settings.h"
#include "tests/unit/support.h"

static struct settings s;
static char *report;

static bool load(const char *text, const char *const *env)
{
    static const char *const none[] = { NULL };
    char path[4096];
    size_t size;
    FILE *out;
    bool ok;

    snprintf(path, sizeof(path), "%s/confab.ini", support_dir());
    out = fopen(path, "w");
    fputs(text, out);
    fclose(out);
    settings_free(&s);
    free(report);
    out = open_memstream(&report, &size);
    ok = settings_load_from(&s, path, (char *const *)(uintptr_t)(env ? env : none), out);
    fclose(out);
    return ok;
}

static void teardown(void)
{
    settings_free(&s);
    free(report);
    report = NULL;
}

#define FIRST "[model]\napi_key = sk-first\nname = big\nsystem_role = developer\nusage = omit\n" \
    "temperature = 0.5\nidle_timeout = 7s\n"
#define TWO "[upstream \"near-by\"]\nurl = http://near/v1\n" \
    "[upstream \"far\"]\nurl = https://far/v1\napi_key = sk-far\nmodel = small\nusage = ask\n" \
    "auth_header = api-key\ntoken_limit_field = max_tokens\nsystem_role = system\nidle_timeout = 9s\n"

START_TEST(sections_are_asked_in_their_order)
{
    ck_assert_msg(load(FIRST TWO, NULL), "%s", report);
    ck_assert_uint_eq(s.upstream_count, 2);
    ck_assert_str_eq(s.upstreams[0].name, "near-by");
    ck_assert_str_eq(s.upstreams[1].name, "far");
    ck_assert_str_eq(s.upstreams[1].model.base_url, "https://far/v1");
    ck_assert_str_eq(s.upstreams[1].model.api_key, "sk-far");
    ck_assert_str_eq(s.upstreams[1].model.name, "small");
    ck_assert_str_eq(s.upstreams[1].model.auth_header, "api-key");
    ck_assert_int_eq(s.upstreams[1].model.usage, MODEL_USAGE_ASK);
    ck_assert_int_eq(s.upstreams[1].model.idle_timeout, 9000);
}
END_TEST

START_TEST(what_a_section_does_not_give_is_that_of_model_but_for_the_key)
{
    ck_assert(load(FIRST TWO, NULL));
    ck_assert_str_eq(s.upstreams[0].model.name, "big");
    ck_assert_str_eq(s.upstreams[0].model.system_role, "developer");
    ck_assert_str_eq(s.upstreams[0].model.temperature, "0.5");
    ck_assert_str_eq(s.upstreams[0].model.auth_header, "Authorization");
    ck_assert_int_eq(s.upstreams[0].model.usage, MODEL_USAGE_OMIT);
    ck_assert_int_eq(s.upstreams[0].model.idle_timeout, 7000);
    ck_assert_int_eq(s.upstreams[0].model.turn_timeout, 300000);
    ck_assert_str_eq(s.upstreams[0].model.api_key, "");
}
END_TEST

START_TEST(the_environment_wins_and_may_make_an_upstream_of_its_own)
{
    static const char *const env[] = {
        "OPENAI_FALLBACKS=cloud, near-by", "UPSTREAM_CLOUD_URL=https://cloud/v1",
        "UPSTREAM_CLOUD_API_KEY=sk-cloud", "UPSTREAM_NEAR_BY_MODEL=tiny", NULL,
    };

    ck_assert_msg(load(FIRST TWO, env), "%s", report);
    ck_assert_uint_eq(s.upstream_count, 2);
    ck_assert_str_eq(s.upstreams[0].name, "cloud");
    ck_assert_str_eq(s.upstreams[0].model.api_key, "sk-cloud");
    ck_assert_str_eq(s.upstreams[1].name, "near-by");
    ck_assert_str_eq(s.upstreams[1].model.name, "tiny");
}
END_TEST

START_TEST(the_order_may_be_given_and_leaves_out_the_rest)
{
    ck_assert_msg(load(FIRST "fallbacks = far\n" TWO, NULL), "%s", report);
    ck_assert_uint_eq(s.upstream_count, 1);
    ck_assert_str_eq(s.upstreams[0].name, "far");
}
END_TEST

START_TEST(the_key_may_be_in_a_file)
{
    const char *dir = support_dir();
    char text[5000];
    FILE *f;

    snprintf(text, sizeof(text), "%s/key", dir);
    f = fopen(text, "w");
    fputs("sk-filed\n", f);
    fclose(f);
    snprintf(text, sizeof(text), FIRST "[upstream \"x\"]\nurl = http://x\napi_key_file = %s/key\n",
             dir);
    ck_assert_msg(load(text, NULL), "%s", report);
    ck_assert_str_eq(s.upstreams[0].model.api_key, "sk-filed");
}
END_TEST

static const struct { const char *text, *named; } wrong[] = {
    { FIRST "[upstream \"x\"]\nmodel = m\n", "[upstream \"x\"] url" },
    { FIRST "[upstream \"x\"]\nurl = far.example\n", "[upstream \"x\"] url" },
    { FIRST "[upstream \"x\"]\nurl = http://x\nauth_header = a:b\n", "[upstream \"x\"] auth_header" },
    { FIRST "[upstream \"x\"]\nurl = http://x\nidle_timeout = 10m\n", "[upstream \"x\"] turn_timeout" },
    { FIRST "[upstream \"x\"]\nurl = http://x\ncolour = red\n", "[upstream \"x\"] colour" },
    { FIRST "[upstream \"X y\"]\nurl = http://x\n", "[upstream \"X y\"]" },
    { FIRST "[upstream x]\nurl = http://x\n", "[upstream x] url" },
    { FIRST "fallbacks = y\n[upstream \"x\"]\nurl = http://x\n", "[upstream \"y\"]" },
    { FIRST "fallbacks = x x\n[upstream \"x\"]\nurl = http://x\n", "named twice" },
    { "[upstream \"x\"]\nurl = http://x\n", "OPENAI_BASE_URL" },
    { FIRST "[upstream \"a\"]\nurl=http://x\n[upstream \"b\"]\nurl=http://x\n"
      "[upstream \"c\"]\nurl=http://x\n[upstream \"d\"]\nurl=http://x\n"
      "[upstream \"e\"]\nurl=http://x\n", "[upstream \"e\"]: is one too many" },
};

START_TEST(a_wrong_section_stops_the_start_and_is_named)
{
    ck_assert(!load(wrong[_i].text, NULL));
    ck_assert_msg(strstr(report, wrong[_i].named) != NULL, "%s", report);
}
END_TEST

START_TEST(the_rows_say_what_help_and_manual_print)
{
    for (size_t i = 0; i < settings_upstream_count; i++) {
        ck_assert_str_eq(settings_upstream_rows[i].section, "upstream \"NAME\"");
        ck_assert(strncmp(settings_upstream_rows[i].env, "UPSTREAM_NAME_", 14) == 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings of upstreams");
    TCase *tc = tcase_create("sections");

    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, sections_are_asked_in_their_order);
    tcase_add_test(tc, what_a_section_does_not_give_is_that_of_model_but_for_the_key);
    tcase_add_test(tc, the_environment_wins_and_may_make_an_upstream_of_its_own);
    tcase_add_test(tc, the_order_may_be_given_and_leaves_out_the_rest);
    tcase_add_test(tc, the_key_may_be_in_a_file);
    tcase_add_loop_test(tc, a_wrong_section_stops_the_start_and_is_named, 0,
                        sizeof(wrong) / sizeof(*wrong));
    tcase_add_test(tc, the_rows_say_what_help_and_manual_print);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
