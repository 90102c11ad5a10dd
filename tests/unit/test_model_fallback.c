/* Several upstreams: which of them answers, and what a turn is told when none does. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/model.h"
#include "tests/unit/raw_server.h"
#include "tests/unit/support.h"

static struct loop       *loop;
static struct settings    settings;
static struct model      *model;
static struct model_call *call;
static struct raw_server *first, *second;
static struct buf         heard;
static struct err         fault;
static char               said_by[40];
static int                dones;
static bool               leave, left;  /* at the first word */

static void on_text(void *arg, const char *text, size_t len)
{
    (void)arg;
    buf_add(&heard, text, len);
    if (!leave)
        return;
    model_cancel(call);
    call = NULL;
    left = true;
}

static void on_done(void *arg, const struct model_answer *answer, const struct err *e)
{
    (void)arg;
    dones++;
    call = NULL;
    fault = e ? *e : ERR_NONE;
    snprintf(said_by, sizeof(said_by), "%s", answer ? answer->model : "");
}

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define CHUNK(model, text, finish) "data: {\"model\":\"" model "\",\"choices\":[{\"index\":0,\"delta\":" \
    "{\"content\":\"" text "\"},\"finish_reason\":" finish "}]}\n\n"
#define WELL(model) STREAM "\r\n" CHUNK(model, "hi from " model, "\"stop\"") "data: [DONE]\n\n"
#define STATUS(status, headers) "HTTP/1.1 " status " x\r\nContent-Length: 0\r\n" headers "\r\n"

static void setup(void)
{
    loop = loop_new();
    settings.model = (struct model_settings){
        .base_url_given = true, .api_key = "sk-first", .name = "m", .auth_header = "Authorization",
        .token_limit_field = "max_tokens", .temperature = "", .system_role = "system",
        .ca_file = "", .connect_timeout = 5000, .first_token_timeout = 5000,
        .idle_timeout = 5000, .turn_timeout = 15000, .retries = 0, .retry_after_max = 10000,
        .max_answer = 1000, .cool_down = 60000,
    };
    settings.upstreams[0].model = settings.model;
    settings.upstreams[0].model.api_key = "sk-second";
    settings.upstreams[0].model.name = "n";
    settings.upstreams[0].model.system_role = "developer";
    strcpy(settings.upstreams[0].name, "spare");
    settings.upstream_count = 1;
    buf_init(&heard, 10000);
    fault = ERR_NONE;
    dones = 0;
    leave = left = false;
}

static void teardown(void)
{
    model_free(model);
    raw_server_stop(first);
    raw_server_stop(second);
    buf_close(&heard);
    loop_free(loop);
}

static void serve(const struct raw_answer *a, const struct raw_answer *b)
{
    struct err e = ERR_NONE;

    first = raw_server_start(loop, a, 1);
    second = raw_server_start(loop, b, 1);
    settings.model.base_url = (char *)(uintptr_t)raw_server_url(first);
    settings.upstreams[0].model.base_url = (char *)(uintptr_t)raw_server_url(second);
    ck_assert_msg(model_new(loop, &settings, &model, &e) == ERR_OK, "%s", e.detail);
}

static void ask(void)
{
    static const struct model_handlers on = { on_text, on_done };
    struct session_part window = { "{\"role\":\"user\",\"content\":\"past\"}", 32 };
    char user[] = "hello", system[] = "be kind";
    struct model_question q = {
        .system = system, .window = &window, .window_count = 1, .user = user, .user_len = 5,
    };

    buf_clear(&heard);
    call = model_ask(model, &q, &on, NULL);
    ck_assert_ptr_nonnull(call);
    memset(user, 'x', 5);       /* the question is the caller's again */
    memset(system, 'x', 7);
}

static void ask_to_the_end(void)
{
    int before = dones;

    ask();
    support_until_count(loop, &dones, before + 1);
    ck_assert_int_eq(dones, before + 1);
}

static struct model_upstream state(int which)
{
    struct model_upstream all[MODEL_UPSTREAMS_MAX];

    ck_assert_uint_eq(model_upstreams(model, all), 2);
    return all[which];
}

static const struct raw_answer well_first = { .bytes = WELL("a"), .close = true };
static const struct raw_answer well_second = { .bytes = WELL("b"), .close = true };

START_TEST(the_first_answers_and_the_second_is_not_asked)
{
    serve(&well_first, &well_second);
    ask_to_the_end();
    ck_assert_str_eq(heard.data, "hi from a");
    ck_assert_int_eq(*raw_server_connections(second), 0);
    ck_assert_str_eq(state(0).name, "model");
    ck_assert_str_eq(state(1).name, "spare");
    ck_assert_uint_eq(state(0).asked, 1);
    ck_assert_uint_eq(state(0).failed, 0);
}
END_TEST

static const struct raw_answer passing[] = {
    { .bytes = STATUS("500", ""), .close = true },
    { .bytes = STATUS("503", "Retry-After: 5\r\n"), .close = true },
    { .bytes = STATUS("429", ""), .close = true },
    { .bytes = STATUS("402", ""), .close = true },      /* quota */
    { .bytes = STATUS("401", ""), .close = true },
    { .bytes = STATUS("404", ""), .close = true },
    { .bytes = STATUS("302", ""), .close = true },
    { .bytes = "", .close = true },
    { .bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", .close = true },
    { .bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>", .close = true },
};

START_TEST(the_second_answers_when_not_a_byte_came_from_the_first)
{
    serve(&passing[_i], &well_second);
    ask_to_the_end();
    ck_assert_msg(fault.code == ERR_OK, "%s", fault.detail);
    ck_assert_str_eq(heard.data, "hi from b");
    ck_assert_str_eq(said_by, "b");
    ck_assert_int_gt(state(0).cooling, 0);
    ask_to_the_end();
    ck_assert_str_eq(heard.data, "hi from b");
    ck_assert_uint_eq(state(0).asked, 1);       /* it cools down */
    ck_assert_uint_eq(state(1).asked, 2);
}
END_TEST

START_TEST(the_second_is_asked_the_same_in_its_own_way)
{
    const char *request;

    serve(&passing[0], &well_second);
    ask_to_the_end();
    request = raw_server_heard(second)->data;
    ck_assert_ptr_nonnull(strstr(request, "Authorization: Bearer sk-second\r\n"));
    ck_assert_ptr_null(strstr(request, "sk-first"));
    ck_assert_ptr_nonnull(strstr(request, "{\"model\":\"n\","));
    ck_assert_ptr_nonnull(strstr(request, "\"messages\":["
        "{\"role\":\"developer\",\"content\":\"be kind\"},"
        "{\"role\":\"user\",\"content\":\"past\"},{\"role\":\"user\",\"content\":\"hello\"}]"));
}
END_TEST

START_TEST(silence_moves_on_when_the_first_tokens_time_is_over)
{
    const struct raw_answer silent = { .bytes = "H", .close = false };

    settings.model.first_token_timeout = 100;
    serve(&silent, &well_second);
    ask_to_the_end();
    ck_assert_str_eq(heard.data, "hi from b");
    ck_assert_int_gt(state(0).cooling, 0);
}
END_TEST

START_TEST(the_first_is_tried_again_before_the_second_is_asked)
{
    settings.model.retries = 1;
    serve(&passing[0], &well_second);
    ask_to_the_end();
    ck_assert_int_eq(*raw_server_requests(first), 2);
    ck_assert_str_eq(heard.data, "hi from b");
}
END_TEST

START_TEST(a_wait_that_the_first_asks_for_is_not_waited_while_there_is_a_second)
{
    int64_t began = clock_ms();

    settings.model.retries = 2;
    serve(&passing[1], &well_second);
    ask_to_the_end();
    ck_assert_str_eq(heard.data, "hi from b");
    ck_assert_int_eq(*raw_server_requests(first), 1);
    ck_assert_int_lt(clock_ms() - began, 4000);
}
END_TEST

static const struct { struct raw_answer answer; enum err_code code; bool cools; } kept[] = {
    { { .bytes = STATUS("400", ""), .close = true }, ERR_UPSTREAM_REFUSED, false },
    { { .bytes = STATUS("422", ""), .close = true }, ERR_UPSTREAM_REFUSED, false },
    { { .bytes = STREAM "\r\n" CHUNK("a", "some", "null"), .close = true }, ERR_UPSTREAM, false },
    { { .bytes = STREAM "\r\ndata: {\"error\":{\"message\":\"no\"}}\n\n", .close = true },
      ERR_UPSTREAM, true },
    { { .bytes = STREAM "\r\n: hm\n\n", .close = true }, ERR_UPSTREAM, true },
};

START_TEST(a_bad_request_and_an_answer_that_had_begun_stay_with_the_first)
{
    serve(&kept[_i].answer, &well_second);
    ask_to_the_end();
    ck_assert_int_eq(fault.code, kept[_i].code);
    ck_assert_int_eq(*raw_server_connections(second), 0);
    ck_assert_int_eq(state(0).cooling > 0, kept[_i].cools);
}
END_TEST

START_TEST(when_all_fail_the_first_fault_is_told_and_each_was_asked_once)
{
    serve(&passing[1], &passing[0]);
    ask_to_the_end();
    ck_assert_int_eq(fault.code, ERR_UPSTREAM_BUSY);
    ck_assert_int_eq(fault.retry_after, 5);
    ck_assert_int_eq(*raw_server_requests(first), 1);
    ck_assert_int_eq(*raw_server_requests(second), 1);
    ask_to_the_end();           /* both cool down: asked all the same */
    ck_assert_int_eq(*raw_server_requests(first), 2);
    ck_assert_int_eq(*raw_server_requests(second), 2);
}
END_TEST

START_TEST(the_time_of_the_turn_is_that_of_all_together)
{
    const struct raw_answer silent = { .bytes = "H", .close = false };
    int64_t began = clock_ms();

    settings.model.turn_timeout = 400;
    settings.model.first_token_timeout = 300;
    serve(&silent, &silent);
    ask_to_the_end();
    ck_assert_int_eq(fault.code, ERR_UPSTREAM_SLOW);
    ck_assert_int_ge(clock_ms() - began, 390);
    ck_assert_int_lt(clock_ms() - began, 2000);
}
END_TEST

START_TEST(a_call_may_be_cancelled_at_any_upstream)
{
    const struct raw_answer silent = { .bytes = "H", .close = false };

    serve(&passing[0], &silent);
    ask();
    support_until_count(loop, (int *)(uintptr_t)raw_server_requests(second), 1);
    ck_assert_str_eq(model_call_name(call), "n");
    model_cancel(call);
    support_until_count(loop, (int *)(uintptr_t)raw_server_hangups(second), 1);
    ck_assert_int_eq(dones, 0);
    ck_assert_int_eq(state(1).cooling, 0);
}
END_TEST

START_TEST(and_within_the_text_of_the_second)
{
    leave = true;
    serve(&passing[0], &well_second);
    ask();
    support_until(loop, &left);
    support_turn(loop, 20);
    ck_assert_int_eq(dones, 0);
}
END_TEST

START_TEST(a_pause_holds_whoever_is_asked)
{
    serve(&passing[0], &well_second);
    ask();
    model_pause(call);
    support_until_count(loop, (int *)(uintptr_t)raw_server_requests(second), 1);
    support_turn(loop, 100);
    ck_assert_uint_eq(heard.len, 0);
    model_resume(call);
    support_until_count(loop, &dones, 1);
    ck_assert_str_eq(heard.data, "hi from b");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model fallback");
    TCase *t = tcase_create("two upstreams");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_first_answers_and_the_second_is_not_asked);
    tcase_add_loop_test(t, the_second_answers_when_not_a_byte_came_from_the_first, 0,
                        sizeof(passing) / sizeof(*passing));
    tcase_add_test(t, the_second_is_asked_the_same_in_its_own_way);
    tcase_add_test(t, silence_moves_on_when_the_first_tokens_time_is_over);
    tcase_add_test(t, the_first_is_tried_again_before_the_second_is_asked);
    tcase_add_test(t, a_wait_that_the_first_asks_for_is_not_waited_while_there_is_a_second);
    tcase_add_loop_test(t, a_bad_request_and_an_answer_that_had_begun_stay_with_the_first, 0,
                        sizeof(kept) / sizeof(*kept));
    tcase_add_test(t, when_all_fail_the_first_fault_is_told_and_each_was_asked_once);
    tcase_add_test(t, the_time_of_the_turn_is_that_of_all_together);
    tcase_add_test(t, a_call_may_be_cancelled_at_any_upstream);
    tcase_add_test(t, and_within_the_text_of_the_second);
    tcase_add_test(t, a_pause_holds_whoever_is_asked);
    suite_add_tcase(s, t);
    return support_run(s);
}
