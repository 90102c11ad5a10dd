/* What a handler sees of a request. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/request.h"
#include "tests/unit/support.h"

static struct request r;
static struct err e;
static char space[1024];

static void setup(void)
{
    memset(&r, 0, sizeof(r));
    e = ERR_NONE;
    r.target = "/";
    r.space = space;
}

static void teardown(void)
{
    request_close(&r);
}

static const struct split_case {
    const char *target;
    enum err_code code;
    size_t count;
    const char *segments[4];
} splits[] = {
    { "/", ERR_OK, 1, { "" } },
    { "/a", ERR_OK, 1, { "a" } },
    { "/a/", ERR_OK, 2, { "a", "" } },
    { "//a", ERR_OK, 2, { "", "a" } },
    { "/api/v1/chat?x=/y/..", ERR_OK, 3, { "api", "v1", "chat" } },
    { "/a%2Fb/c", ERR_OK, 2, { "a/b", "c" } },
    { "/a%3fb", ERR_OK, 1, { "a?b" } },
    { "/a+b", ERR_OK, 1, { "a+b" } },
    { "/%e4%bd%a0", ERR_OK, 1, { "\xe4\xbd\xa0" } },
    { "/...", ERR_OK, 1, { "..." } },
    { "/a%", ERR_BAD_REQUEST, 0, { 0 } },
    { "/%4", ERR_BAD_REQUEST, 0, { 0 } },
    { "/%zz", ERR_BAD_REQUEST, 0, { 0 } },
    { "*", ERR_BAD_REQUEST, 0, { 0 } },
    { "", ERR_BAD_REQUEST, 0, { 0 } },
    { "/a/../b", ERR_INVALID, 0, { 0 } },
    { "/.", ERR_INVALID, 0, { 0 } },
    { "/a/%2e%2E", ERR_INVALID, 0, { 0 } },
    { "/1/2/3/4/5/6/7/8", ERR_OK, 8, { "1", "2", "3", "4" } },
    { "/1/2/3/4/5/6/7/8/9", ERR_NO_ROUTE, 0, { 0 } },
};

START_TEST(a_path_is_split_before_it_is_decoded)
{
    const struct split_case *c = &splits[_i];

    r.target = c->target;
    ck_assert_int_eq(request_split(&r, &e), c->code);
    if (c->code != ERR_OK)
        return;
    ck_assert_uint_eq(r.segment_count, c->count);
    for (size_t i = 0; i < c->count && i < 4; i++)
        ck_assert_str_eq(r.segments[i].s, c->segments[i]);
}
END_TEST

START_TEST(the_room_for_segments_is_never_overrun)
{
    const char *target = "/a/bc//d%41/";
    size_t room = strlen(target) + 1;

    r.target = target;
    r.space = malloc(room);         /* a sanitizer or valgrind sees a byte too many */
    ck_assert_int_eq(request_split(&r, &e), ERR_OK);
    ck_assert_str_eq(r.segments[3].s, "dA");
    free(r.space);
}
END_TEST

START_TEST(a_segment_may_hold_any_byte)
{
    r.target = "/a%00b";
    ck_assert_int_eq(request_split(&r, &e), ERR_OK);
    ck_assert_uint_eq(r.segments[0].len, 3);
    ck_assert_mem_eq(r.segments[0].s, "a\0b", 4);
}
END_TEST

static const struct { const char *sent; bool taken; } ids[] = {
    { "abc-DEF_1.2", true }, { "x", true },
    { "1234567890123456789012345678901234567890123456789012345678901234", true },
    { "12345678901234567890123456789012345678901234567890123456789012345", false },
    { "", false }, { "a b", false }, { "a\r\nX: y", false }, { "\xc3\xa4", false }, { NULL, false },
};

START_TEST(a_sane_request_id_is_taken_over_and_another_replaced)
{
    r.headers[HEADER_REQUEST_ID] = ids[_i].sent;
    request_init(&r);
    ck_assert_uint_gt(strlen(r.id), 0);
    ck_assert_int_eq(ids[_i].sent && strcmp(r.id, ids[_i].sent) == 0, ids[_i].taken);
}
END_TEST

static const struct { const char *type; bool json; } types[] = {
    { "application/json", true }, { "Application/JSON; charset=UTF-8", true },
    { "application/json;charset=\"utf-8\"", true }, { "application/json ; x=y", true },
    { "application/json; charset=latin1", false }, { "application/jsonx", false },
    { "application/x-www-form-urlencoded", false }, { "text/plain", false }, { NULL, false },
};

START_TEST(only_json_in_utf8_is_read)
{
    json_t *tree;

    r.headers[HEADER_CONTENT_TYPE] = types[_i].type;
    r.body = strdup("{}");
    r.body_len = 2;
    ck_assert_int_eq(request_json(&r, &tree, &e), types[_i].json ? ERR_OK : ERR_MEDIA_TYPE);
    json_decref(tree);
}
END_TEST

static const struct { const char *body; enum err_code code; } bodies[] = {
    { "{\"a\":1}", ERR_OK }, { " {} ", ERR_OK }, { "", ERR_BAD_JSON }, { "{", ERR_BAD_JSON },
    { "{} x", ERR_BAD_JSON }, { "{\"a\":1,\"a\":2}", ERR_BAD_JSON }, { "\"\xff\"", ERR_BAD_JSON },
    { "[]", ERR_INVALID }, { "1", ERR_INVALID }, { "null", ERR_INVALID },
};

START_TEST(a_body_is_one_json_object)
{
    json_t *tree;

    r.headers[HEADER_CONTENT_TYPE] = "application/json";
    r.body = strdup(bodies[_i].body);
    r.body_len = strlen(r.body);
    ck_assert_int_eq(request_json(&r, &tree, &e), bodies[_i].code);
    ck_assert_int_eq(tree != NULL, bodies[_i].code == ERR_OK);
    json_decref(tree);
}
END_TEST

static const struct { const char *accept; bool stream; } accepts[] = {
    { "text/event-stream", true }, { "application/json, text/event-stream;q=0.5", true },
    { "Text/Event-Stream; q=1", true }, { "text/event-stream;q=0", false },
    { "text/event-stream;q=0.000, */*", false }, { "text/event-streams", false },
    { "*/*", false }, { "text/html", false }, { "", false }, { NULL, false },
};

START_TEST(a_stream_is_only_for_those_who_name_it)
{
    r.headers[HEADER_ACCEPT] = accepts[_i].accept;
    ck_assert_int_eq(request_accepts_event_stream(&r), accepts[_i].stream);
}
END_TEST

START_TEST(a_query_parameter_is_found_by_its_whole_name_and_decoded)
{
    struct buf value;

    r.target = "/x?ab=1&a=%41+b&c&d=";
    request_init(&r);
    buf_init(&value, 100);
    ck_assert(request_query(&r, "a", &value));
    ck_assert_str_eq(value.data, "A+b");
    buf_clear(&value);
    ck_assert(request_query(&r, "c", &value) && request_query(&r, "d", &value));
    ck_assert_str_eq(value.data, "");
    ck_assert(!request_query(&r, "b", &value) && !request_query(&r, "", &value));
    buf_close(&value);
}
END_TEST

START_TEST(an_idempotency_key_has_1_to_255_printable_characters)
{
    char key[257];
    const char *out;

    ck_assert_int_eq(request_idempotency_key(&r, &out, &e), ERR_OK);
    ck_assert_ptr_null(out);
    memset(key, 'k', sizeof(key));
    key[256] = '\0';
    r.headers[HEADER_IDEMPOTENCY_KEY] = key;
    ck_assert_int_eq(request_idempotency_key(&r, &out, &e), ERR_INVALID);
    ck_assert_str_eq(e.field, "Idempotency-Key");
    key[255] = '\0';
    ck_assert_int_eq(request_idempotency_key(&r, &out, &e), ERR_OK);
    ck_assert_ptr_eq(out, key);
    key[0] = '\x7f';
    ck_assert_int_eq(request_idempotency_key(&r, &out, &e), ERR_INVALID);
    r.headers[HEADER_IDEMPOTENCY_KEY] = "";
    ck_assert_int_eq(request_idempotency_key(&r, &out, &e), ERR_INVALID);
}
END_TEST

START_TEST(the_body_hash_tells_bodies_apart)
{
    char none[65], a[65], b[65];

    request_body_hash(&r, none);
    r.body = strdup("a");
    r.body_len = 1;
    request_body_hash(&r, a);
    r.body[0] = 'b';
    request_body_hash(&r, b);
    ck_assert_str_ne(none, a);
    ck_assert_str_ne(a, b);
    ck_assert_uint_eq(strlen(a), 64);
}
END_TEST

#define COUNT(table) (sizeof(table) / sizeof(table[0]))

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *t = tcase_create("request");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_path_is_split_before_it_is_decoded, 0, COUNT(splits));
    tcase_add_test(t, the_room_for_segments_is_never_overrun);
    tcase_add_test(t, a_segment_may_hold_any_byte);
    tcase_add_loop_test(t, a_sane_request_id_is_taken_over_and_another_replaced, 0, COUNT(ids));
    tcase_add_loop_test(t, only_json_in_utf8_is_read, 0, COUNT(types));
    tcase_add_loop_test(t, a_body_is_one_json_object, 0, COUNT(bodies));
    tcase_add_loop_test(t, a_stream_is_only_for_those_who_name_it, 0, COUNT(accepts));
    tcase_add_test(t, a_query_parameter_is_found_by_its_whole_name_and_decoded);
    tcase_add_test(t, an_idempotency_key_has_1_to_255_printable_characters);
    tcase_add_test(t, the_body_hash_tells_bodies_apart);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
