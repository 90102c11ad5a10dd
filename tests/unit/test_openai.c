/* The wire format of chat completions: what is sent, and what answers say. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/openai.h"
#include "tests/unit/support.h"

static struct settings      settings;
static struct openai_reader reader;
static struct buf           text, out;
static struct err           e;

static void setup(void)
{
    memset(&settings, 0, sizeof(settings));
    settings.model.name = "gpt-4o-mini";
    settings.model.token_limit_field = "max_completion_tokens";
    settings.model.temperature = "";
    settings.model.system_role = "system";
    settings.model.usage = MODEL_USAGE_ASK;
    memset(&reader, 0, sizeof(reader));
    buf_init(&text, 1 << 16);
    buf_init(&out, 1 << 20);
    e = ERR_NONE;
}

static void teardown(void)
{
    buf_close(&text);
    buf_close(&out);
}

/* What is sent */

static const struct { const char *base, *url; } urls[] = {
    { "https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions" },
    { "https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions" },
    { "http://localhost:8080/v1//", "http://localhost:8080/v1/chat/completions" },
    { "http://[::1]:8080", "http://[::1]:8080/chat/completions" },
    { "https://me.openai.azure.com/openai/deployments/mini?api-version=2024-10-21",
      "https://me.openai.azure.com/openai/deployments/mini/chat/completions"
      "?api-version=2024-10-21" },
    { "https://h/v1/?a=b/", "https://h/v1/chat/completions?a=b/" },
    { "https://h/v1#f", "https://h/v1/chat/completions" },
    { "https://h/v1?a=b#f", "https://h/v1/chat/completions?a=b" },
};

START_TEST(the_path_is_put_before_the_query_of_the_base_url)
{
    ck_assert(openai_url(&out, urls[_i].base));
    ck_assert_str_eq(out.data, urls[_i].url);
}
END_TEST

static const char *body_of(const char *system, const struct session_part *window, size_t count,
                           const char *user)
{
    struct model_question q = {
        .system = system, .window = window, .window_count = count,
        .user = user, .user_len = strlen(user),
    };

    buf_clear(&out);
    ck_assert(openai_request_body(&out, &settings.model, &q));
    return out.data;
}

START_TEST(the_request_is_system_window_and_user_in_order)
{
    static const struct session_part window[] = {
        { "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}", 64 },
        { "", 0 },
        { "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}", 64 },
    };

    ck_assert_uint_eq(strlen(window[0].s), window[0].len);
    ck_assert_str_eq(body_of("Be kind.", window, 3, "e"),
        "{\"model\":\"gpt-4o-mini\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},"
        "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"},"
        "{\"role\":\"user\",\"content\":\"e\"}]}");
}
END_TEST

START_TEST(optional_fields_go_out_only_when_they_are_set)
{
    settings.model.usage = MODEL_USAGE_OMIT;
    ck_assert_str_eq(body_of(NULL, NULL, 0, "e"),
        "{\"model\":\"gpt-4o-mini\",\"stream\":true,"
        "\"messages\":[{\"role\":\"user\",\"content\":\"e\"}]}");
    settings.model.token_limit = 500;
    settings.model.token_limit_field = "max_tokens";
    settings.model.temperature = ".5";
    settings.model.system_role = "developer";
    ck_assert_str_eq(body_of("s", NULL, 0, "e"),
        "{\"model\":\"gpt-4o-mini\",\"stream\":true,\"max_tokens\":500,\"temperature\":0.5,"
        "\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},"
        "{\"role\":\"user\",\"content\":\"e\"}]}");
}
END_TEST

START_TEST(any_user_text_survives_the_request)
{
    const char *user = "\"quoted\" \\ \n\t\x01\x1f\x7f \xF0\x9F\x98\x80 \xD7\xA9 \xE2\x80\xA8 "
        "</script>";
    const char *body = body_of("s", NULL, 0, user);
    json_t     *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    json_t     *last = json_array_get(json_object_get(root, "messages"), 1);

    ck_assert_str_eq(json_string_value(json_object_get(last, "content")), user);
    json_decref(root);
}
END_TEST

START_TEST(what_the_question_chooses_comes_before_the_settings)
{
    struct model_options o = { .model = "other", .temperature = 0, .token_limit = 9 };
    struct model_question q = { .user = "u", .user_len = 1, .options = &o };

    settings.model.temperature = "1.5";
    buf_clear(&out);
    ck_assert(openai_request_body(&out, &settings.model, &q));
    ck_assert_ptr_nonnull(strstr(out.data, "\"model\":\"other\""));
    ck_assert_ptr_nonnull(strstr(out.data, "\"temperature\":0,"));
    ck_assert_ptr_nonnull(strstr(out.data, ":9,"));
    o = (struct model_options){ .model = "", .temperature = -1 };
    buf_clear(&out);
    ck_assert(openai_request_body(&out, &settings.model, &q));
    ck_assert_ptr_null(strstr(out.data, "\"model\":\"\""));
    ck_assert_ptr_nonnull(strstr(out.data, "\"temperature\":1.5"));
}
END_TEST

START_TEST(a_request_that_does_not_fit_says_so)
{
    struct model_question q = { .user = "a", .user_len = 1 };
    struct buf small;

    buf_init(&small, 20);
    ck_assert(!openai_request_body(&small, &settings.model, &q));
    buf_close(&small);
}
END_TEST

/* What is read */

static enum err_code event(const char *name, const char *data)
{
    struct sse_event ev = { .name = name, .data = data, .len = strlen(data) };

    return openai_read_event(&reader, &ev, &text, "sk-my-own-key", &e);
}

static enum err_code chunk(const char *data)
{
    return event("", data);
}

#define DELTA(delta)  "{\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}"
#define FINISH(why)   "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":" why "}]}"

static const struct { const char *data, *text; } pieces[] = {
    { DELTA("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"), "" },
    { DELTA("{\"content\":\"I'm\"}"), "I'm" },
    { DELTA("{\"content\":null}"), "" },
    { DELTA("{}"), "" },
    { DELTA("null"), "" },
    { DELTA("{\"content\":null,\"refusal\":\"I'm sorry\"}"), "I'm sorry" },
    { DELTA("{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}"
      "]}"), "ab" },
    { DELTA("{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
      "\"a\"}]}]}"), "" },
    { DELTA("{\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"},{\"text\":\"b\"},7,null]}"),
      "nob" },
    { DELTA("{\"content\":[]}"), "" },
    { DELTA("{\"content\":7}"), "" },
    { DELTA("{\"reasoning_content\":\"hm\",\"reasoning\":\"hm\",\"tool_calls\":[]}"), "" },
    { DELTA("{\"content\":\"a\\u0000b\\u0000\"}"), "a\xEF\xBF\xBD" "b\xEF\xBF\xBD" },
    { DELTA("{\"content\":\"\\ud83d\\ude00\"}"), "\xF0\x9F\x98\x80" },
    { DELTA("{\"content\":\"\xF0\x9F\x98\x80\"}"), "\xF0\x9F\x98\x80" },
    { DELTA("{\"content\":\"old\",\"content\":\"new\"}"), "new" },
    { "{\"choices\":[]}", "" },
    { "{\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[{}]}", "" },
    { "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}},{\"index\":0,\"delta\":"
      "{\"content\":\"yes\"}}]}", "yes" },
    { "{\"choices\":[{\"index\":2,\"delta\":{\"content\":\"no\"},\"finish_reason\":\"stop\"}"
      "]}", "" },
    { "{\"choices\":[{\"delta\":{\"content\":\"no index\"}}]}", "no index" },
    { "{\"choices\":[null,{\"index\":0,\"delta\":{\"content\":\"a\"}}]}", "a" },
    { "{\"choices\":null,\"usage\":null}", "" },
    { "{\"choices\":{}}", "" },
    { "{}", "" },
    { "{\"error\":null,\"choices\":[]}", "" },
    { "{\"error\":\"\",\"choices\":[]}", "" },
    { "{\"error\":false,\"choices\":[]}", "" },
    { "{\"error\":0,\"choices\":[]}", "" },
    { "{\"seed\":13842219832476485000,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}"
      "]}", "a" },
    { "{\"obfuscation\":\"xyz\",\"service_tier\":\"default\",\"moderation\":{},\"timings\":"
      "{\"a\":1.5e-9}}", "" },
};

START_TEST(a_chunk_gives_the_text_of_its_first_choice)
{
    ck_assert_msg(chunk(pieces[_i].data) == ERR_OK, "%s: %s", pieces[_i].data, e.detail);
    ck_assert_str_eq(text.data, pieces[_i].text);
    ck_assert_uint_eq(text.len, strlen(pieces[_i].text));
    ck_assert(!openai_finished(&reader));
}
END_TEST

static const struct { const char *name, *data; enum err_code code; } faults[] = {
    { "", "{\"error\":{\"message\":\"x\",\"type\":\"server_error\",\"code\":null}}", ERR_UPSTREAM },
    { "", "{\"error\":{}}", ERR_UPSTREAM },
    { "", "{\"error\":\"out of memory\"}", ERR_UPSTREAM },
    { "", "{\"error\":true}", ERR_UPSTREAM },
    { "", "{\"error\":\"x\",\"error_type\":\"overloaded\"}", ERR_UPSTREAM_BUSY },
    { "", "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", ERR_UPSTREAM_BUSY },
    { "", "{\"error\":{\"code\":\"insufficient_quota\"}}", ERR_UPSTREAM_QUOTA },
    { "", "{\"error\":{\"type\":\"invalid_request_error\"}}", ERR_UPSTREAM_REFUSED },
    { "", "{\"error\":{\"code\":503,\"type\":\"X\"}}", ERR_UPSTREAM_BUSY },
    { "", "{\"error\":{\"code\":400,\"type\":\"BadRequestError\"}}", ERR_UPSTREAM_REFUSED },
    { "", "{\"object\":\"error\",\"message\":\"x\",\"code\":500}", ERR_UPSTREAM },
    { "", "{\"error\":{\"message\":\"x\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":"
      "\"a\"},\"finish_reason\":\"stop\"}]}", ERR_UPSTREAM },
    { "error", "{\"message\":\"x\"}", ERR_UPSTREAM },
    { "error", "{\"error\":{\"code\":\"slow_down\"}}", ERR_UPSTREAM_BUSY },
    { "error", "plain words", ERR_UPSTREAM },
    { "error", DELTA("{\"content\":\"a\"}"), ERR_UPSTREAM },
    { "", "", ERR_UPSTREAM },
    { "", "<html>", ERR_UPSTREAM },
    { "", "[]", ERR_UPSTREAM },
    { "", "7", ERR_UPSTREAM },
    { "", "null", ERR_UPSTREAM },
    { "", "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"cu", ERR_UPSTREAM },
    { "", "{\"choices\":[]} {}", ERR_UPSTREAM },
    { "", DELTA("{\"content\":\"caf\xE9\"}"), ERR_UPSTREAM },
    { "", DELTA("{\"content\":\"\xED\xA0\xBD\"}"), ERR_UPSTREAM },
    { "", DELTA("{\"content\":\"\\ud83d\"}"), ERR_UPSTREAM },
    { "", DELTA("{\"content\":\"\\ude00\"}"), ERR_UPSTREAM },
    { "", FINISH("\"error\""), ERR_UPSTREAM },
    { "", "[DONE]", ERR_UPSTREAM },
};

START_TEST(an_error_record_or_what_is_no_chunk_fails)
{
    ck_assert_msg(event(faults[_i].name, faults[_i].data) == faults[_i].code,
                  "%s: %s %s", faults[_i].data, err_name(e.code), e.detail);
    ck_assert_int_eq(e.code, faults[_i].code);
    ck_assert_uint_eq(text.len, 0);
    ck_assert_str_ne(e.detail, "");
}
END_TEST

START_TEST(only_a_finish_reason_finishes)
{
    static const char *const not_yet[] = { "null", "\"\"", "0", "true", "{}" };

    for (size_t i = 0; i < sizeof(not_yet) / sizeof(*not_yet); i++) {
        char data[200];

        snprintf(data, sizeof(data), "{\"choices\":[{\"index\":0,\"finish_reason\":%s}]}",
            not_yet[i]);
        ck_assert_int_eq(chunk(data), ERR_OK);
        ck_assert_msg(!openai_finished(&reader), "%s", data);
    }
    ck_assert_int_eq(chunk("{\"choices\":[{\"index\":1,\"finish_reason\":\"stop\"}]}"), ERR_OK);
    ck_assert(!openai_finished(&reader));
    ck_assert_int_eq(chunk(FINISH("\"unload\"")), ERR_OK);
    ck_assert(openai_finished(&reader));
    ck_assert_str_eq(reader.finish_reason, "unload");
    ck_assert_int_eq(chunk("[DONE]"), ERR_OK);
    ck_assert(reader.done);
}
END_TEST

START_TEST(nothing_counts_after_done)
{
    ck_assert_int_eq(chunk(FINISH("\"stop\"")), ERR_OK);
    ck_assert_int_eq(chunk("[DONE]"), ERR_OK);
    ck_assert_int_eq(chunk(DELTA("{\"content\":\"more\"}")), ERR_OK);
    ck_assert_int_eq(chunk("{\"error\":\"late\"}"), ERR_OK);
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(an_error_after_the_finish_reason_is_an_error)
{
    ck_assert_int_eq(chunk(FINISH("\"stop\"")), ERR_OK);
    ck_assert_int_eq(chunk("{\"error\":\"late\"}"), ERR_UPSTREAM);
}
END_TEST

START_TEST(text_and_finish_reason_may_come_in_one_chunk)
{
    ck_assert_int_eq(chunk("{\"model\":\"mistral-small\",\"choices\":[{\"index\":0,"
        "\"delta\":{\"content\":\"bye\"},\"finish_reason\":\"length\"}],\"usage\":"
        "{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}"), ERR_OK);
    ck_assert_str_eq(text.data, "bye");
    ck_assert_str_eq(reader.finish_reason, "length");
    ck_assert_str_eq(reader.model, "mistral-small");
    ck_assert(reader.usage.known);
    ck_assert_int_eq(reader.usage.total, 7);
}
END_TEST

static const struct {
    const char *usage;
    bool        known;
    int64_t     prompt, completion, total;
} usages[] = {
    { "{\"prompt_tokens\":14,\"completion_tokens\":30,\"total_tokens\":44}", true, 14, 30, 44 },
    { "{\"prompt_tokens\":14,\"completion_tokens\":30}", true, 14, 30, 44 },
    { "{\"completion_tokens\":30}", true, 0, 30, 30 },
    { "null", false, 0, 0, 0 },
    { "{}", false, 0, 0, 0 },
    { "[]", false, 0, 0, 0 },
    { "{\"prompt_tokens\":\"14\",\"completion_tokens\":-1,\"total_tokens\":1e300}",
      false, 0, 0, 0 },
};

START_TEST(usage_is_what_was_said_of_it)
{
    char data[300];

    snprintf(data, sizeof(data), "{\"choices\":[],\"usage\":%s}", usages[_i].usage);
    ck_assert_int_eq(chunk(data), ERR_OK);
    ck_assert_int_eq(chunk("{\"choices\":[],\"usage\":null}"), ERR_OK);
    ck_assert_int_eq(reader.usage.known, usages[_i].known);
    ck_assert_int_eq(reader.usage.prompt, usages[_i].prompt);
    ck_assert_int_eq(reader.usage.completion, usages[_i].completion);
    ck_assert_int_eq(reader.usage.total, usages[_i].total);
}
END_TEST

START_TEST(long_names_are_cut_between_characters)
{
    char data[1024] = "{\"model\":\"";

    for (int i = 0; i < 100; i++)
        strcat(data, "\xE2\x82\xAC");
    strcat(data, "\",\"choices\":[{\"index\":0,\"finish_reason\":\"");
    for (int i = 0; i < 100; i++)
        strcat(data, "\xC3\xA9");
    strcat(data, "\"}]}");
    ck_assert_int_eq(chunk(data), ERR_OK);
    ck_assert_uint_eq(strlen(reader.model), 93);
    ck_assert_uint_eq(strlen(reader.finish_reason), 38);
    ck_assert(text_is_utf8(reader.model, 93) && text_is_utf8(reader.finish_reason, 38));
}
END_TEST

START_TEST(text_beyond_its_maximum_fails)
{
    buf_close(&text);
    buf_init(&text, 4);
    ck_assert_int_eq(chunk(DELTA("{\"content\":\"four\"}")), ERR_OK);
    ck_assert_int_eq(chunk(DELTA("{\"content\":\"5\"}")), ERR_UPSTREAM);
    ck_assert_ptr_nonnull(strstr(e.detail, "maximum"));
}
END_TEST

static enum err_code whole(const char *body)
{
    return openai_read_whole(&reader, body, strlen(body), &text, NULL, &e);
}

START_TEST(an_answer_in_one_object_is_an_answer)
{
    ck_assert_int_eq(whole("{\"object\":\"chat.completion\",\"model\":\"m\","
        "\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"Hello\",\"refusal\":null},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
        "\"total_tokens\":3}}"), ERR_OK);
    ck_assert_str_eq(text.data, "Hello");
    ck_assert_str_eq(reader.finish_reason, "stop");
    ck_assert_int_eq(reader.usage.total, 3);
}
END_TEST

static const char *const no_answers[] = {
    "", "{}", "<html>", "{\"choices\":[]}", "{\"error\":{\"message\":\"x\"}}",
    "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":null}]}",
    "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"}}]}",
};

START_TEST(an_object_without_a_finish_reason_is_no_answer)
{
    ck_assert_int_eq(whole(no_answers[_i]), ERR_UPSTREAM);
}
END_TEST

START_TEST(what_people_wrote_and_keys_stay_out_of_the_detail)
{
    ck_assert_int_eq(chunk(DELTA("{\"content\":\"my secret wish\x80\"}")), ERR_UPSTREAM);
    ck_assert_ptr_null(strstr(e.detail, "wish"));
    ck_assert_int_eq(chunk("{\"error\":\"key my sk-my-own-key\"}"), ERR_UPSTREAM);
    ck_assert_ptr_null(strstr(e.detail, "my-own"));
}
END_TEST

/* Recorded streams */

static struct buf recording;

static void load(const char *name)
{
    const char *root = getenv("CONFAB_SRCDIR");
    char        path[512], bytes[4096];
    size_t      n;
    FILE       *f;

    snprintf(path, sizeof(path), "%s/tests/data/streams/%s.sse", root ? root : ".", name);
    f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    buf_init(&recording, 1 << 20);
    while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0)
        buf_add(&recording, bytes, n);
    fclose(f);
}

static void take_events(struct sse *s)
{
    const struct sse_event *ev;

    while ((ev = sse_next(s)))
        ck_assert_msg(openai_read_event(&reader, ev, &text, NULL, &e) == ERR_OK, "%s", e.detail);
}

/* step 0: cut once, at `at`. */
static void play(size_t step, size_t at)
{
    struct sse *s = sse_new(1 << 20);

    memset(&reader, 0, sizeof(reader));
    buf_clear(&text);
    for (size_t from = 0; from < recording.len; ) {
        size_t n = step ? step : from < at ? at - from : recording.len - from;

        n = n < recording.len - from ? n : recording.len - from;
        ck_assert_int_eq(sse_feed(s, recording.data + from, n, &e), ERR_OK);
        take_events(s);
        from += n;
    }
    sse_end(s);
    take_events(s);
    sse_free(s);
}

static const struct { const char *name, *starts, *finish; bool usage; int64_t total; } streams[] = {
    { "openai-text-usage", "I'm unable to provide", "stop", true, 44 },
    { "openai-refusal", "I'm sorry, I", "stop", true, -1 },
    { "openai-length", "{\"", "length", true, 80 },
    { "openai-n3", "{\"", "stop", true, -1 },
};

START_TEST(a_recorded_stream_reads_the_same_however_it_is_cut)
{
    char *first;

    load(streams[_i].name);
    play(recording.len, 0);
    ck_assert_msg(strncmp(text.data, streams[_i].starts, strlen(streams[_i].starts)) == 0,
                  "%s", text.data);
    ck_assert_str_eq(reader.finish_reason, streams[_i].finish);
    ck_assert_str_eq(reader.model, "gpt-4o-2024-08-06");
    ck_assert(reader.done);
    ck_assert_int_eq(reader.usage.known, streams[_i].usage);
    if (streams[_i].total >= 0)
        ck_assert_int_eq(reader.usage.total, streams[_i].total);
    first = strdup(text.data);
    for (size_t step = 1; step <= 17; step++) {
        play(step, 0);
        ck_assert_str_eq(text.data, first);
        ck_assert_str_eq(reader.finish_reason, streams[_i].finish);
    }
    for (size_t at = 1; at < recording.len; at += 7) {
        play(0, at);
        ck_assert_str_eq(text.data, first);
        ck_assert(reader.done);
    }
    free(first);
    buf_close(&recording);
}
END_TEST

#define LOOP(t, test, table) tcase_add_loop_test(t, test, 0, sizeof(table) / sizeof(*(table)))

int main(void)
{
    Suite *suite = suite_create("openai");
    TCase *t = tcase_create("openai");

    tcase_add_checked_fixture(t, setup, teardown);
    LOOP(t, the_path_is_put_before_the_query_of_the_base_url, urls);
    tcase_add_test(t, the_request_is_system_window_and_user_in_order);
    tcase_add_test(t, optional_fields_go_out_only_when_they_are_set);
    tcase_add_test(t, any_user_text_survives_the_request);
    tcase_add_test(t, what_the_question_chooses_comes_before_the_settings);
    tcase_add_test(t, a_request_that_does_not_fit_says_so);
    LOOP(t, a_chunk_gives_the_text_of_its_first_choice, pieces);
    LOOP(t, an_error_record_or_what_is_no_chunk_fails, faults);
    tcase_add_test(t, only_a_finish_reason_finishes);
    tcase_add_test(t, nothing_counts_after_done);
    tcase_add_test(t, an_error_after_the_finish_reason_is_an_error);
    tcase_add_test(t, text_and_finish_reason_may_come_in_one_chunk);
    LOOP(t, usage_is_what_was_said_of_it, usages);
    tcase_add_test(t, long_names_are_cut_between_characters);
    tcase_add_test(t, text_beyond_its_maximum_fails);
    tcase_add_test(t, an_answer_in_one_object_is_an_answer);
    LOOP(t, an_object_without_a_finish_reason_is_no_answer, no_answers);
    tcase_add_test(t, what_people_wrote_and_keys_stay_out_of_the_detail);
    LOOP(t, a_recorded_stream_reads_the_same_however_it_is_cut, streams);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
