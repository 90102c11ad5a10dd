/* What servers say when they do not answer. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/openai_error.h"
#include "lib/chat/openai_mask.h"
#include "tests/unit/support.h"

static struct openai_head head;
static struct err         e;

static void setup(void)
{
    openai_head_init(&head);
    e = ERR_NONE;
}

static bool read_text(int status, const char *body)
{
    return openai_read_error(status, &head, body, strlen(body), "sk-own", &e);
}

/* The recorded samples */

static json_t *samples(void)
{
    const char *root = getenv("CONFAB_SRCDIR");
    char        path[512];
    json_t     *all;

    snprintf(path, sizeof(path), "%s/tests/data/error-samples.json", root ? root : ".");
    all = json_load_file(path, 0, NULL);
    ck_assert_msg(all != NULL, "%s", path);
    return all;
}

static bool is_google(const char *upstream)
{
    return strcmp(upstream, "drive") == 0 || strcmp(upstream, "docs") == 0
           || strcmp(upstream, "oauth2") == 0;
}

static enum err_code code_of(const char *id)
{
    if (strstr(id, "insufficient-quota") || strstr(id, "exhausted") || strstr(id, "limit-exceeded"))
        return ERR_UPSTREAM_QUOTA;
    if (strstr(id, "too-large"))
        return ERR_UPSTREAM_REFUSED;
    if (strstr(id, "-429") || strstr(id, "-503"))
        return ERR_UPSTREAM_BUSY;
    return strstr(id, "-500") || strstr(id, "-502") ? ERR_UPSTREAM : ERR_UPSTREAM_REFUSED;
}

static void try_sample(const json_t *sample)
{
    const json_t *body = json_object_get(sample, "body");
    const char   *id = json_string_value(json_object_get(sample, "id"));
    const char   *retry = json_string_value(json_object_get(sample, "retry"));
    char         *text = json_is_string(body) ? strdup(json_string_value(body))
                                              : json_dumps(body, JSON_COMPACT);
    const char   *name;
    json_t       *value;
    bool          again;

    setup();
    json_object_foreach(json_object_get(sample, "headers"), name, value)
        openai_head_add(&head, name, json_string_value(value));
    again = read_text((int)json_integer_value(json_object_get(sample, "status")), text);
    ck_assert_msg(again == (strcmp(retry, "no") != 0), "%s: retry %s, %s", id, retry, e.detail);
    ck_assert_msg(e.code == code_of(id), "%s: %s, %s", id, err_name(e.code), e.detail);
    ck_assert_msg((e.retry_after > 0) == (strncmp(retry, "after retry-after", 17) == 0),
                  "%s: retry_after %d", id, e.retry_after);
    free(text);
}

START_TEST(each_recorded_error_is_retried_as_its_sample_says)
{
    json_t *all = samples(), *sample;
    size_t  i;
    int     tried = 0;

    json_array_foreach(json_object_get(all, "samples"), i, sample)
        if (!is_google(json_string_value(json_object_get(sample, "upstream")))) {
            try_sample(sample);
            tried++;
        }
    ck_assert_int_ge(tried, 27);
    json_decref(all);
}
END_TEST

static const struct { int status; enum err_code code; bool retry; } statuses[] = {
    { 301, ERR_UPSTREAM_REFUSED, false }, { 308, ERR_UPSTREAM_REFUSED, false },
    { 400, ERR_UPSTREAM_REFUSED, false }, { 401, ERR_UPSTREAM_REFUSED, false },
    { 402, ERR_UPSTREAM_QUOTA,   false }, { 403, ERR_UPSTREAM_REFUSED, false },
    { 404, ERR_UPSTREAM_REFUSED, false }, { 408, ERR_UPSTREAM,         true  },
    { 409, ERR_UPSTREAM,         true  }, { 413, ERR_UPSTREAM_REFUSED, false },
    { 422, ERR_UPSTREAM_REFUSED, false }, { 424, ERR_UPSTREAM,         false },
    { 429, ERR_UPSTREAM_BUSY,    true  }, { 500, ERR_UPSTREAM,         true  },
    { 501, ERR_UPSTREAM_REFUSED, false }, { 502, ERR_UPSTREAM,         true  },
    { 503, ERR_UPSTREAM_BUSY,    true  }, { 504, ERR_UPSTREAM,         true  },
    { 529, ERR_UPSTREAM_BUSY,    true  }, { 204, ERR_UPSTREAM,         false },
};

START_TEST(without_words_the_status_decides)
{
    static const char *const bodies[] = { "", "<html>no</html>", "[]", "null", "{}", "{\"err",
                                          "{\"error\":{\"code\":null,\"type\":7}}", "\xFF" };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        setup();
        ck_assert_int_eq(read_text(statuses[_i].status, bodies[i]), statuses[_i].retry);
        ck_assert_msg(e.code == statuses[_i].code, "%d %s: %s", statuses[_i].status, bodies[i],
                      err_name(e.code));
    }
}
END_TEST

START_TEST(the_code_decides_before_the_type_and_the_type_before_the_status)
{
    ck_assert(!read_text(503, "{\"error\":{\"code\":\"insufficient_quota\",\"type\":"
        "\"slow_down\"}}"));
    ck_assert_int_eq(e.code, ERR_UPSTREAM_QUOTA);
    ck_assert(read_text(400, "{\"error\":{\"code\":\"other\",\"type\":\"rate_limit_error\"}}"));
    ck_assert_int_eq(e.code, ERR_UPSTREAM_BUSY);
}
END_TEST

START_TEST(x_should_retry_overrides_all_but_quota_and_size)
{
    openai_head_add(&head, "x-should-retry", "true");
    ck_assert(read_text(400, "{}"));
    ck_assert(!read_text(429, "{\"error\":{\"type\":\"insufficient_quota\"}}"));
    ck_assert(!read_text(429, "{\"error\":{\"message\":\"Request too large for gpt-4o\"}}"));
    ck_assert(!read_text(402, ""));
    openai_head_add(&head, "x-should-retry", "false");
    ck_assert(!read_text(500, ""));
    ck_assert_int_eq(e.code, ERR_UPSTREAM);
    openai_head_add(&head, "x-should-retry", "perhaps");
    ck_assert(read_text(500, ""));
}
END_TEST

static int64_t the_time(void)
{
    return 1445412475000;       /* Wed, 21 Oct 2015 07:27:55 GMT */
}

static const struct { const char *name, *value; int64_t delay; int seconds; } delays[] = {
    { "retry-after", "2", 2000, 2 },
    { "retry-after", "1.5", 1500, 2 },
    { "retry-after", "0", 0, 1 },
    { "retry-after", "20 ", 20000, 20 },
    { "retry-after-ms", "1146", 1146, 2 },
    { "retry-after-ms", "0.5", 1, 1 },
    { "retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", 5000, 5 },
    { "retry-after", "Wednesday, 21-Oct-15 07:28:00 GMT", 5000, 5 },
    { "retry-after", "Wed Oct 21 07:28:00 2015", 5000, 5 },
    { "retry-after", "Wed, 21 Oct 2015 07:27:00 GMT", 0, 1 },
    { "retry-after", "99999999999999999999", 31536000000, 31536000 },
    { "retry-after", "-1", -1, 0 },
    { "retry-after", "", -1, 0 },
    { "retry-after", "soon", -1, 0 },
    { "retry-after", "nan", -1, 0 },
    { "retry-after", "inf", -1, 0 },
    { "retry-after", "2 minutes", -1, 0 },
    { "retry-after-ms", "soon", -1, 0 },
    { "x-ratelimit-reset-tokens", "1s", -1, 0 },
};

START_TEST(the_delay_is_read_in_all_its_forms)
{
    static const struct clock then = { .wall_ms = the_time };

    clock_use(&then);
    openai_head_add(&head, delays[_i].name, delays[_i].value);
    clock_use(NULL);
    ck_assert_int_eq(head.delay, delays[_i].delay);
    read_text(429, "");
    ck_assert_int_eq(e.retry_after, delays[_i].seconds);
}
END_TEST

START_TEST(milliseconds_win_over_seconds_in_any_order)
{
    openai_head_add(&head, "retry-after-ms", "1146");
    openai_head_add(&head, "retry-after", "2");
    ck_assert_int_eq(head.delay, 1146);
    openai_head_init(&head);
    openai_head_add(&head, "retry-after", "2");
    openai_head_add(&head, "retry-after-ms", "1146");
    ck_assert_int_eq(head.delay, 1146);
    openai_head_init(&head);
    openai_head_add(&head, "retry-after-ms", "soon");
    openai_head_add(&head, "retry-after", "2");
    ck_assert_int_eq(head.delay, 2000);
}
END_TEST

static const struct { const char *type; enum openai_body body; } types[] = {
    { "text/event-stream", OPENAI_STREAM },
    { "text/event-stream; charset=utf-8", OPENAI_STREAM },
    { "application/json", OPENAI_JSON },
    { "Application/JSON;charset=utf-8", OPENAI_JSON },
    { "text/html", OPENAI_OTHER },
    { "text/html; charset=utf-8", OPENAI_OTHER },
    { "", OPENAI_STREAM },
    { "text/plain", OPENAI_STREAM },
};

START_TEST(the_content_type_tells_how_to_read_the_answer)
{
    openai_head_add(&head, "content-type", types[_i].type);
    ck_assert_int_eq(head.body, types[_i].body);
}
END_TEST

START_TEST(the_detail_says_status_code_type_request_and_message)
{
    openai_head_add(&head, "x-request-id", "req_12 \"3\"\n");
    read_text(404, "{\"error\":{\"message\":\"The model `m` does not exist.\","
                   "\"type\":\"invalid_request_error\",\"param\":null,"
                   "\"code\":\"model_not_found\"}}");
    ck_assert_str_eq(e.detail, "status 404, request req_123, code model_not_found, "
                               "type invalid_request_error: The model `m` does not exist.");
}
END_TEST

START_TEST(the_detail_of_an_unknown_field_names_it_but_not_its_value)
{
    read_text(422, "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\","
                   "\"loc\":[\"body\",\"max_completion_tokens\"],\"msg\":\"Extra inputs are not "
                   "permitted\",\"input\":\"my secret wish\"}]},"
                   "\"type\":\"invalid_request_error\"}");
    ck_assert_str_eq(e.detail, "status 422, type invalid_request_error: "
                               "max_completion_tokens: Extra inputs are not permitted");
    read_text(422, "{\"detail\":[{\"loc\":[\"body\",0],\"msg\":\"bad\",\"input\":\"wish\"}]}");
    ck_assert_str_eq(e.detail, "status 422: 0: bad");
    read_text(422, "{\"detail\":\"Not like this\"}");
    ck_assert_str_eq(e.detail, "status 422: Not like this");
}
END_TEST

START_TEST(a_page_stays_out_of_the_detail)
{
    read_text(502, "<html><title>Bad Gateway of John</title></html>");
    ck_assert_str_eq(e.detail, "status 502, no JSON");
    read_text(301, "");
    ck_assert_ptr_nonnull(strstr(e.detail, "redirect"));
}
END_TEST

START_TEST(a_long_message_is_cut_between_characters)
{
    struct buf body;

    buf_init(&body, 1 << 20);
    buf_adds(&body, "{\"error\":\"");
    for (int i = 0; i < 50000; i++)
        buf_adds(&body, "\xE2\x82\xAC ");
    buf_adds(&body, "\"}");
    read_text(500, body.data);
    ck_assert_uint_gt(strlen(e.detail), 150);
    ck_assert(text_is_utf8(e.detail, strlen(e.detail)));
    buf_close(&body);
}
END_TEST

/* Masking */

static const struct { const char *text, *secret, *masked; } masks[] = {
    { "Incorrect API key provided: sk-proj-abc123. Ask", NULL,
      "Incorrect API key provided: *** Ask" },
    { "key sk-****0000.", NULL, "key ***" },
    { "Bearer abcdefgh-123 is wrong", NULL, "Bearer *** is wrong" },
    { "using Bearer auth (i.e. so)", NULL, "using Bearer auth (i.e. so)" },
    { "hf_abc, gsk_abc; eyJabc/eyJdef", NULL, "***, ***; ***/***" },
    { "0123456789abcdef0123456789abcdef", NULL, "***" },
    { "a word that is plainly-a-very-long-word-without-numbers", NULL,
      "a word that is plainly-a-very-long-word-without-numbers" },
    { "model gpt-4o-mini-2024-07-18 has", NULL, "model gpt-4o-mini-2024-07-18 has" },
    { "key=swordfish!1 and (swordfish!1)", "swordfish!1", "key=*** and (***)" },
    { "swordfish!", "swordfish!1", "swordfish!" },
    { "short a is kept", "a", "short a is kept" },
    { "task-sk-abc", NULL, "task-sk-abc" },
    { "a\tb\r\nc\x7f", NULL, "a b  c " },
    { "", "swordfish!1", "" },
};

START_TEST(what_looks_like_a_key_is_masked_and_control_characters_go)
{
    char out[200];

    openai_mask(out, sizeof(out), masks[_i].text, strlen(masks[_i].text), masks[_i].secret);
    ck_assert_str_eq(out, masks[_i].masked);
}
END_TEST

START_TEST(masking_fits_every_size)
{
    const char *text = "\xE2\x82\xAC sk-abcdef \xF0\x9F\x98\x80 swordfish!1 end";

    for (size_t size = 1; size < 60; size++) {
        char *out = malloc(size);

        openai_mask(out, size, text, strlen(text), "swordfish!1");
        ck_assert_uint_lt(strlen(out), size);
        ck_assert(text_is_utf8(out, strlen(out)));
        ck_assert_ptr_null(strstr(out, "abc"));
        ck_assert_ptr_null(strstr(out, "swo"));
        free(out);
    }
}
END_TEST

#define LOOP(t, test, table) tcase_add_loop_test(t, test, 0, sizeof(table) / sizeof(*(table)))

int main(void)
{
    Suite *suite = suite_create("openai_error");
    TCase *t = tcase_create("openai_error");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, each_recorded_error_is_retried_as_its_sample_says);
    LOOP(t, without_words_the_status_decides, statuses);
    tcase_add_test(t, the_code_decides_before_the_type_and_the_type_before_the_status);
    tcase_add_test(t, x_should_retry_overrides_all_but_quota_and_size);
    LOOP(t, the_delay_is_read_in_all_its_forms, delays);
    tcase_add_test(t, milliseconds_win_over_seconds_in_any_order);
    LOOP(t, the_content_type_tells_how_to_read_the_answer, types);
    tcase_add_test(t, the_detail_says_status_code_type_request_and_message);
    tcase_add_test(t, the_detail_of_an_unknown_field_names_it_but_not_its_value);
    tcase_add_test(t, a_page_stays_out_of_the_detail);
    tcase_add_test(t, a_long_message_is_cut_between_characters);
    LOOP(t, what_looks_like_a_key_is_masked_and_control_characters_go, masks);
    tcase_add_test(t, masking_fits_every_size);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
