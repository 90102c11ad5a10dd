/* A task as a handler sees it: accepted, looked up, told as JSON. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "tests/unit/task_support.h"

#define SESSION "c1:{default}:s:1:s"

START_TEST(an_accepted_task_stands_in_its_record_the_index_and_the_stream)
{
    struct task t;
    const char *id;

    task_dialog("s", 3);
    id = task_make("s");
    t = task_now(id);
    ck_assert_str_eq(t.id, id);
    ck_assert_str_eq(t.session, "s");
    ck_assert_str_eq(t.tenant, "default");
    ck_assert_int_eq(t.status, TASK_PENDING);
    ck_assert_int_eq(t.turns, 3);
    ck_assert_int_eq(t.attempts, 0);
    ck_assert_int_gt(t.created_at, 1700000000000);
    ck_assert_int_eq(t.started_at, 0);
    task_expect(id, "ZRANGE c1:{default}:idx:open 0 -1");
    task_expect("1", "XLEN c1:tasks:stream");
    ck_assert_ptr_nonnull(strstr(task_ask("XRANGE c1:tasks:stream - +"), task_field(id, "en")));
}
END_TEST

START_TEST(the_dialog_does_not_expire_while_a_task_of_it_is_open)
{
    task_dialog("s", 1);
    task_make("s");
    task_expect("-1", "PTTL " SESSION);
    task_expect("-1", "PTTL " SESSION ":msgs");
    task_make("s");
    task_expect("2", "HGET " SESSION " tasks");
}
END_TEST

START_TEST(a_dialog_without_turns_can_be_written_too)
{
    task_dialog("s", 0);
    ck_assert_int_eq(task_now(task_make("s")).turns, 0);
}
END_TEST

START_TEST(a_session_that_does_not_exist_gets_no_task)
{
    char id[KEYS_TASK_MAX + 1];

    ck_assert_int_eq(task_make_with("nobody", NULL, NULL, id), ERR_NO_SESSION);
    task_expect("c1:tasks:stream", "KEYS *");
    task_expect("0", "XLEN c1:tasks:stream");
}
END_TEST

START_TEST(a_repeat_with_the_same_key_is_the_same_task)
{
    char first[KEYS_TASK_MAX + 1], second[KEYS_TASK_MAX + 1];

    task_dialog("s", 1);
    ck_assert_int_eq(task_make_with("s", "key", "aa", first), ERR_OK);
    ck_assert_int_eq(task_make_with("s", "key", "aa", second), ERR_OK);
    ck_assert_str_eq(first, second);
    task_expect("1", "XLEN c1:tasks:stream");
    task_expect("1", "HGET " SESSION " tasks");
    ck_assert_int_eq(task_make_with("s", "another", "aa", second), ERR_OK);
    ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(a_key_used_with_another_body_or_session_is_refused)
{
    char id[KEYS_TASK_MAX + 1];

    task_dialog("s", 1);
    task_dialog("t", 1);
    ck_assert_int_eq(task_make_with("s", "key", "aa", id), ERR_OK);
    ck_assert_int_eq(task_make_with("s", "key", "bb", id), ERR_KEY_REUSED);
    ck_assert_int_eq(task_make_with("t", "key", "aa", id), ERR_KEY_REUSED);
    task_expect("1", "XLEN c1:tasks:stream");
}
END_TEST

static bool came;
static enum err_code code;

static void on_found(void *arg, const struct task *t, const struct err *e)
{
    (void)arg;
    ck_assert(!t == !!e);
    came = true;
    code = e ? e->code : ERR_OK;
}

static enum err_code find(const char *tenant, const char *id)
{
    came = false;
    ck_assert_ptr_nonnull(task_find(task_redis, tenant, id, on_found, NULL));
    support_until(task_loop, &came);
    return code;
}

START_TEST(a_task_is_found_by_its_own_tenant_alone)
{
    const char *id;

    task_dialog("s", 1);
    id = task_make("s");
    ck_assert_int_eq(find("default", id), ERR_OK);
    ck_assert_int_eq(find("other", id), ERR_NO_TASK);
    ck_assert_int_eq(find("default", "nosuchtask"), ERR_NO_TASK);
}
END_TEST

START_TEST(what_is_no_id_is_not_found)
{
    char longer[KEYS_TASK_MAX + 2];

    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ck_assert(task_id_ok("aZ09-_", 6));
    ck_assert(task_id_ok(longer, KEYS_TASK_MAX));
    ck_assert(!task_id_ok(longer, KEYS_TASK_MAX + 1));
    ck_assert(!task_id_ok("", 0));
    ck_assert(!task_id_ok("a:b", 3));
    ck_assert(!task_id_ok("a\0b", 3));
    ck_assert_int_eq(find("default", longer), ERR_NO_TASK);
    ck_assert_int_eq(find("default", "*"), ERR_NO_TASK);
}
END_TEST

START_TEST(a_cancelled_call_says_nothing_and_leaves_nothing)
{
    struct task_call *c = task_find(task_redis, "default", "x", on_found, NULL);

    came = false;
    task_call_cancel(c);
    ck_assert_int_eq(find("default", "y"), ERR_NO_TASK);    /* comes after it on the wire */
    task_call_cancel(NULL);
}
END_TEST

START_TEST(a_broken_record_is_an_error_and_no_task)
{
    task_ask("HSET c1:task:x tn default se s st asleep");
    ck_assert_int_eq(find("default", "x"), ERR_INTERNAL);
    task_ask("HSET c1:task:y st pending");
    ck_assert_int_eq(find("default", "y"), ERR_INTERNAL);
}
END_TEST

/* --- JSON --- */

static json_t *json_of(const struct task *t, const char *folder)
{
    struct err e = ERR_NONE;
    struct buf out;
    json_t *tree;

    buf_init(&out, 65536);
    ck_assert(task_json(&out, t, folder));
    ck_assert_msg(json_parse(out.data, out.len, &tree, &e) == ERR_OK, "%s: %s", out.data, e.detail);
    buf_close(&out);
    return tree;
}

START_TEST(a_new_task_as_json_has_every_field_and_nulls_for_what_is_not_yet)
{
    struct task t = { .id = "t1", .session = "a \"b\"", .tenant = "default",
                      .created_at = 1772357400000 };
    json_t *j = json_of(&t, "/docs");

    ck_assert_str_eq(json_str(j, "task_id"), "t1");
    ck_assert_str_eq(json_str(j, "session_id"), "a \"b\"");
    ck_assert_str_eq(json_str(j, "status"), "pending");
    ck_assert_int_eq(json_int(j, "attempts", -1), 0);
    ck_assert_str_eq(json_str(j, "created_at"), "2026-03-01T09:30:00.000Z");
    ck_assert(json_is_null(json_object_get(j, "started_at")));
    ck_assert(json_is_null(json_object_get(j, "finished_at")));
    ck_assert(json_is_null(json_object_get(j, "document_url")));
    ck_assert(json_is_null(json_object_get(j, "error")));
    ck_assert_uint_eq(json_object_size(j), 9);
    json_decref(j);
}
END_TEST

static void expect_url(struct task t, const char *folder, const char *url)
{
    json_t *j = json_of(&t, folder);
    const char *is = json_str(j, "document_url");

    if (url)
        ck_assert_str_eq(is, url);
    else
        ck_assert_ptr_null(is);
    json_decref(j);
}

START_TEST(a_document_has_its_url_once_the_task_is_finished)
{
    struct task t = { .id = "t1", .session = "s", .store = "google", .document = "1a_-B",
                      .status = TASK_RUNNING };

    expect_url(t, "/docs", NULL);
    t.status = TASK_FAILED;
    expect_url(t, "/docs", NULL);
    t.status = TASK_FINISHED;
    expect_url(t, "/docs", "https://docs.google.com/document/d/1a_-B/edit");
    strcpy(t.store, "folder");
    strcpy(t.document, "my-s");
    expect_url(t, "/var/lib/my docs", "file:///var/lib/my%20docs/my-s--t1.html");
    expect_url(t, "relative", NULL);
}
END_TEST

START_TEST(a_failed_task_tells_its_error)
{
    struct task t = { .id = "t1", .session = "s", .status = TASK_FAILED, .attempts = 3,
                      .error_code = "dialog_gone", .error_detail = "It is \"gone\"." };
    json_t *j = json_of(&t, "/docs");
    json_t *error = json_object_get(j, "error");

    ck_assert_str_eq(json_str(error, "code"), "dialog_gone");
    ck_assert_str_eq(json_str(error, "detail"), "It is \"gone\".");
    json_decref(j);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("task");
    TCase *redis = tcase_create("redis"), *pure = tcase_create("json");

    tcase_add_unchecked_fixture(redis, task_case_setup, task_case_teardown);
    tcase_add_checked_fixture(redis, task_setup, task_teardown);
    tcase_set_timeout(redis, 60);
    tcase_add_test(redis, an_accepted_task_stands_in_its_record_the_index_and_the_stream);
    tcase_add_test(redis, the_dialog_does_not_expire_while_a_task_of_it_is_open);
    tcase_add_test(redis, a_dialog_without_turns_can_be_written_too);
    tcase_add_test(redis, a_session_that_does_not_exist_gets_no_task);
    tcase_add_test(redis, a_repeat_with_the_same_key_is_the_same_task);
    tcase_add_test(redis, a_key_used_with_another_body_or_session_is_refused);
    tcase_add_test(redis, a_task_is_found_by_its_own_tenant_alone);
    tcase_add_test(redis, what_is_no_id_is_not_found);
    tcase_add_test(redis, a_cancelled_call_says_nothing_and_leaves_nothing);
    tcase_add_test(redis, a_broken_record_is_an_error_and_no_task);
    tcase_add_test(pure, a_new_task_as_json_has_every_field_and_nulls_for_what_is_not_yet);
    tcase_add_test(pure, a_document_has_its_url_once_the_task_is_finished);
    tcase_add_test(pure, a_failed_task_tells_its_error);
    suite_add_tcase(s, redis);
    suite_add_tcase(s, pure);
    return support_run(s);
}
