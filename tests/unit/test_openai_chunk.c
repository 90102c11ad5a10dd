/* Reading chunks without a parser: where it says yes, a parser says the same. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/openai_chunk.h"
#include "tests/unit/support.h"

static const char *const chunks[] = {
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":17,\"model\":\"m-1\","
    "\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"delta\":"
    "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
    "\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"x1\"}",
    "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\" a \\\"b\\\"\\n\"},\"finish_reason\":null}]}",
    "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xC3\xA9\xF0\x9F\x98\x80\"}}]}",
    "{ \"model\" : \"m\" , \"choices\" : [ { \"finish_reason\" : \"stop\" , \"delta\" : { } } ] }",
    "{\"choices\":[],\"timings\":{\"ms\":-1.50,\"n\":[1,0,true,false]}}",
    "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":120,\"total_tokens\":1290,"
    "\"prompt_tokens_details\":{\"cached_tokens\":0}}}",
};

/* The rest is the parser's: it may mean something, or nothing at all. */
static const char *const not_ours[] = {
    "", "{", "[]", "null", "{}x", "{\"a\":1,}", "{\"a\":01}", "{\"a\":1e5}", "{\"a\" 1}",
    "{\"error\":{\"message\":\"x\"}}", "{\"object\":\"error\"}", "{\"usage\":{\"total_tokens\":1e3}}",
    "{\"usage\":{\"total_tokens\":1.0}}", "{\"usage\":{\"total_tokens\":-1}}", "{\"usage\":1}",
    "{\"usage\":{\"total_tokens\":null}}", "{\"usage\":{\"total_tokens\":12345678901}}",
    "{\"usage\":{\"total_tokens\":1,\"total_tokens\":2}}",
    "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}}]}",
    "{\"choices\":[{\"index\":0.0,\"delta\":{\"content\":\"a\"}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}",
    "{\"choices\":[{\"delta\":{\"content\":[]}}]}", "{\"choices\":[{\"delta\":null}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"\\u0041\"}}]}",
    "{\"choices\":[{\"delta\":{\"refusal\":\"no\"}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"a\",\"content\":null}}]}",
    "{\"choices\":[{\"delta\":{\"content\":\"\x80\"}}]}", "{\"ch\\/oices\":[]}",
};

START_TEST(the_usual_chunks_need_no_parser)
{
    struct openai_chunk c;

    ck_assert_msg(openai_chunk_read(chunks[_i], strlen(chunks[_i]), &c), "%s", chunks[_i]);
}
END_TEST

START_TEST(what_is_unusual_is_left_to_the_parser)
{
    struct openai_chunk c;

    ck_assert_msg(!openai_chunk_read(not_ours[_i], strlen(not_ours[_i]), &c), "%s", not_ours[_i]);
}
END_TEST

/* A string of the tree, and the same between its quotes. NULL stands for what is not a string. */
static void same(const char *json, const json_t *value, const char *s, size_t len)
{
    json_t *ours;
    char *quoted;

    if (!json_is_string(value) || !s) {
        ck_assert_msg(!s && (!value || json_is_null(value)), "%s", json);
        return;
    }
    ck_assert_int_ge(asprintf(&quoted, "\"%.*s\"", (int)len, s), 0);
    ours = json_loads(quoted, JSON_DECODE_ANY, NULL);
    ck_assert_msg(ours && json_equal(ours, value), "%s: %s", json, quoted);
    json_decref(ours);
    free(quoted);
}

static void same_counts(const char *json, const json_t *usage, const struct openai_chunk *c)
{
    static const char *const names[] = { "prompt_tokens", "completion_tokens", "total_tokens" };
    const int64_t ours[] = { c->prompt_tokens, c->completion_tokens, c->total_tokens };

    ck_assert_msg(c->usage == json_is_object(usage), "%s", json);
    for (int i = 0; i < 3; i++) {
        const json_t *count = json_object_get(usage, names[i]);

        ck_assert_msg(count ? json_real_value(count) == (double)ours[i] : ours[i] == -1, "%s", json);
    }
}

static bool agrees(const char *json, size_t len)
{
    json_t *root, *choices, *choice, *delta;
    struct openai_chunk c;

    if (!openai_chunk_read(json, len, &c))
        return false;
    root = json_loadb(json, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    ck_assert_msg(root != NULL, "not JSON: %.*s", (int)len, json);
    choices = json_object_get(root, "choices");
    choice = json_array_get(choices, 0);
    delta = json_object_get(choice, "delta");
    ck_assert_uint_le(json_array_size(choices), 1);
    ck_assert_msg(!choice || !json_object_get(choice, "index") ||
                  json_number_value(json_object_get(choice, "index")) == 0, "%s", json);
    ck_assert(!json_object_get(root, "error") || json_is_null(json_object_get(root, "error")));
    same_counts(json, json_object_get(root, "usage"), &c);
    ck_assert(!json_is_string(json_object_get(delta, "refusal")));
    same(json, json_object_get(delta, "content"), c.content, c.content_len);
    same(json, json_object_get(choice, "finish_reason"), c.finish, c.finish_len);
    same(json, json_object_get(root, "model"), c.model, c.model_len);
    json_decref(root);
    return true;
}

/* One to three changes of a byte, a piece or the length, always the same ones. */
START_TEST(whatever_it_takes_a_parser_reads_alike)
{
    static const char bytes[] = "{}[]\",:\\0n1-.e \n\x80\xC3u\"\"";
    unsigned seed = 1 + (unsigned)_i, taken = 0;

    for (int n = 0; n < 40000; n++) {
        char json[1024];
        size_t len = strlen(chunks[_i]);

        memcpy(json, chunks[_i], len);
        for (int k = rand_r(&seed) % 3; k >= 0 && len > 1; k--) {
            size_t at = (size_t)rand_r(&seed) % len, from = (size_t)rand_r(&seed) % len;
            size_t size = (size_t)rand_r(&seed) % 24;

            size = size < len - at ? size : len - at;
            if (rand_r(&seed) % 3 == 0) {           /* a piece goes */
                memmove(json + at, json + at + size, len - at - size);
                len -= size;
            } else if (rand_r(&seed) % 2) {         /* a byte is another */
                json[at] = bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)];
            } else {                                /* a piece comes twice */
                memmove(json + at, json + from, size < len - from ? size : len - from);
            }
        }
        json[len] = '\0';
        taken += agrees(json, len);
    }
    ck_assert_uint_gt(taken, 100);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("openai_chunk");
    Suite *s = suite_create("openai_chunk");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, the_usual_chunks_need_no_parser, 0, sizeof(chunks) / sizeof(*chunks));
    tcase_add_loop_test(t, what_is_unusual_is_left_to_the_parser, 0,
                        sizeof(not_ours) / sizeof(*not_ours));
    tcase_add_loop_test(t, whatever_it_takes_a_parser_reads_alike, 0,
                        sizeof(chunks) / sizeof(*chunks));
    return support_run(s);
}
