/* Google's error answers, as recorded, and what is made of them. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobrunner/google/google_error.h"
#include "tests/unit/support.h"

static json_t *samples;
static struct err e;

static void setup(void)
{
    char path[4096];
    json_error_t why;

    snprintf(path, sizeof(path), "%s/tests/data/error-samples.json", getenv("CONFAB_SRCDIR"));
    json_t *file = json_load_file(path, 0, &why);
    ck_assert_msg(file != NULL, "%s: %s", path, why.text);
    samples = json_incref(json_object_get(file, "samples"));
    json_decref(file);
    e = ERR_NONE;
}

static void teardown(void)
{
    json_decref(samples);
}

static enum store_verdict judge(const char *id)
{
    size_t i;
    json_t *sample;

    json_array_foreach(samples, i, sample) {
        if (strcmp(json_string_value(json_object_get(sample, "id")), id) != 0)
            continue;

        json_t *body = json_object_get(sample, "body");
        char *text = json_is_string(body) ? strdup(json_string_value(body)) : json_dumps(body, 0);
        struct exchange_reply r = {
            .status = (int)json_integer_value(json_object_get(sample, "status")),
            .body = text, .body_len = strlen(text), .location = "", .range = "",
        };
        enum store_verdict v = strncmp(id, "token", 5) == 0 ? google_error_token(&r, &e)
                                                            : google_error_drive(&r, &e);
        free(text);
        return v;
    }
    ck_abort_msg("no sample %s", id);
    return STORE_OK;
}

static const struct { const char *id; enum store_verdict verdict; const char *words; } rows[] = {
    { "drive-401-auth", STORE_TRY_AGAIN, "token" },
    { "drive-404-folder", STORE_MISCONFIGURED, "GOOGLE_DRIVE_FOLDER_ID" },
    { "drive-400-query", STORE_IMPOSSIBLE, "Invalid Value" },
    { "drive-400-fields", STORE_IMPOSSIBLE, "invalidParameter" },
    { "drive-400-generated-id", STORE_IMPOSSIBLE, "generatedIdNotSupported" },
    { "drive-403-service-account-quota", STORE_MISCONFIGURED, "shared drive" },
    { "drive-403-user-quota", STORE_MISCONFIGURED, "storage" },
    { "drive-403-permission", STORE_MISCONFIGURED, "Content manager (fileOrganizer)" },
    { "drive-403-app-not-authorized", STORE_MISCONFIGURED, "GOOGLE_SCOPE" },
    { "drive-403-scope", STORE_MISCONFIGURED, "GOOGLE_SCOPE" },
    { "drive-403-user-rate", STORE_LIMITED, "rate limit" },
    { "drive-403-rate", STORE_LIMITED, "rate limit" },
    { "drive-429", STORE_LIMITED, "rate limit" },
    { "drive-500", STORE_AWAY, "500" },
    { "token-400-clock", STORE_MISCONFIGURED, "clock" },
    { "token-400-signature", STORE_MISCONFIGURED, "key was deleted" },
    { "token-400-bad-sub", STORE_MISCONFIGURED, "google.subject" },
    { "token-400-scope", STORE_MISCONFIGURED, "GOOGLE_SCOPE" },
    { "token-401-delegation", STORE_MISCONFIGURED, "delegation" },
    { "token-401-disabled", STORE_MISCONFIGURED, "disabled" },
    { "token-503", STORE_AWAY, "503" },
};

START_TEST(a_recorded_answer_has_its_verdict_and_says_what_to_change)
{
    ck_assert_int_eq(judge(rows[_i].id), rows[_i].verdict);
    ck_assert_int_ne(e.code, ERR_OK);
    ck_assert_msg(strstr(e.detail, rows[_i].words) != NULL, "%s: %s", rows[_i].id, e.detail);
}
END_TEST

START_TEST(every_recorded_answer_of_google_is_in_the_table)
{
    size_t i;
    json_t *sample;

    json_array_foreach(samples, i, sample) {
        const char *id = json_string_value(json_object_get(sample, "id"));
        bool known = strncmp(id, "drive-", 6) != 0 && strncmp(id, "token-", 6) != 0;

        for (size_t row = 0; row < sizeof(rows) / sizeof(*rows); row++)
            known = known || strcmp(rows[row].id, id) == 0;
        ck_assert_msg(known, "%s", id);
    }
}
END_TEST

static enum store_verdict drive(int status, const char *body)
{
    struct exchange_reply r = { .status = status, .body = body, .body_len = strlen(body),
                                .location = "", .range = "", .retry_after = 7 };

    return google_error_drive(&r, &e);
}

static const struct { int status; const char *body; enum store_verdict verdict; } odd[] = {
    { 502, "<html>Bad Gateway</html>", STORE_AWAY }, { 500, "", STORE_AWAY },
    { 503, "{\"error\":\"x\"}", STORE_AWAY }, { 408, "{}", STORE_AWAY },
    { 429, "<html>", STORE_LIMITED }, { 403, "<html>", STORE_MISCONFIGURED },
    { 403, "{\"error\":{\"errors\":{}}}", STORE_MISCONFIGURED },
    { 403, "{\"error\":{\"status\":\"PERMISSION_DENIED\"}}", STORE_MISCONFIGURED },
    { 404, "[]", STORE_MISCONFIGURED }, { 413, "", STORE_IMPOSSIBLE },
    { 302, "", STORE_TRY_AGAIN }, { 409, "{}", STORE_TRY_AGAIN }, { 100, "", STORE_TRY_AGAIN },
};

START_TEST(an_answer_that_is_not_googles_json_has_a_verdict_too)
{
    ck_assert_int_eq(drive(odd[_i].status, odd[_i].body), odd[_i].verdict);
    ck_assert_int_eq(e.retry_after, 7);
}
END_TEST

START_TEST(ids_in_googles_words_are_masked)
{
    drive(403, "{\"error\":{\"message\":\"No: 1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, sorry.\","
               "\"errors\":[{\"reason\":\"strange\"}]}}");
    ck_assert_ptr_null(strstr(e.detail, "1AAA"));
    ck_assert_ptr_nonnull(strstr(e.detail, "No: ..., sorry."));
    ck_assert_ptr_nonnull(strstr(e.detail, "strange"));
}
END_TEST

START_TEST(a_lost_connection_is_nobodys_fault)
{
    struct err lost = ERR_NONE;
    struct exchange_reply r = { .fault = &lost, .body = "", .location = "", .range = "" };

    err_set(&lost, ERR_UPSTREAM, "connection refused");
    ck_assert_int_eq(google_error_drive(&r, &e), STORE_AWAY);
    ck_assert_ptr_nonnull(strstr(e.detail, "connection refused"));
    ck_assert_int_eq(google_error_token(&r, &e), STORE_AWAY);
}
END_TEST

static const struct { const char *value; int seconds; } waits[] = {
    { "0", 0 }, { "120", 120 }, { "999999999999", 24 * 60 * 60 }, { "", 0 }, { "soon", 0 },
    { "Sun, 01 Mar 2026 09:31:00 GMT", 60 }, { "Sun, 01 Mar 2026 09:00:00 GMT", 0 },
};

START_TEST(retry_after_is_read_in_both_forms)
{
    ck_assert_int_eq(exchange_retry_after(waits[_i].value, 1772357400), waits[_i].seconds);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("google_error");
    TCase *c = tcase_create("verdicts");

#define COUNT(table) (sizeof(table) / sizeof(*(table)))
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, a_recorded_answer_has_its_verdict_and_says_what_to_change, 0,
                        COUNT(rows));
    tcase_add_test(c, every_recorded_answer_of_google_is_in_the_table);
    tcase_add_loop_test(c, an_answer_that_is_not_googles_json_has_a_verdict_too, 0, COUNT(odd));
    tcase_add_test(c, ids_in_googles_words_are_masked);
    tcase_add_test(c, a_lost_connection_is_nobodys_fault);
    tcase_add_loop_test(c, retry_after_is_read_in_both_forms, 0, COUNT(waits));
    suite_add_tcase(s, c);
    return support_run(s);
}
