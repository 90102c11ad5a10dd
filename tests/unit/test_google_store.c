/* The staged protocol: what is asked of Google, in which order, and what each answer leads to.
 * Google is a script here; against a strict stand-in the whole program is tried end to end. */
#include <check.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobrunner/store.h"
#include "tests/unit/support.h"

#define DOC     "\"id\":\"doc-1\""
#define CREATED 200, "{" DOC "}"
#define FILLED  200, "{" DOC ",\"parents\":[\"staging\"]}"
#define DONE    200, "{" DOC "}"
#define GONE    404, "{\"error\":{\"code\":404,\"message\":\"File not found: doc-1.\"," \
                     "\"errors\":[{\"reason\":\"notFound\"}]}}"
#define NOTHERE 404, "{\"error\":{\"code\":404,\"message\":\"File not found: folder.\"," \
                     "\"errors\":[{\"reason\":\"notFound\"}]}}"
#define REFUSED 401, "{\"error\":{\"code\":401,\"errors\":[{\"reason\":\"authError\"}]}}"
#define BROKEN  503, "<html>"

static struct loop *loop;
static struct support_redis *server;
static struct redis *redis;
static struct settings settings;
static struct store *store;
static struct evhttp *google;
static char root[64], credentials[4096];

static struct { int status; const char *body; } script[16];
static int scripted, played, tokens_given, token_status;
static char asked[16][512];     /* "METHOD /path?query body" */
static char bearer[16][64];

static void will(int status, const char *body)
{
    script[scripted].status = status;
    script[scripted++].body = body;
}

static void reply(struct evhttp_request *q, int status, const char *body)
{
    struct evbuffer *b = evbuffer_new();

    evbuffer_add(b, body, strlen(body));
    evhttp_send_reply(q, status, "x", b);
    evbuffer_free(b);
}

static void on_token(struct evhttp_request *q, void *arg)
{
    char body[128];

    (void)arg;
    snprintf(body, sizeof(body), "{\"access_token\":\"token-%d\",\"expires_in\":3600}",
             ++tokens_given);
    reply(q, token_status, token_status == 200 ? body : "{\"error\":\"invalid_grant\"}");
}

static const char *method(struct evhttp_request *q)
{
    switch (evhttp_request_get_command(q)) {
    case EVHTTP_REQ_GET:   return "GET";
    case EVHTTP_REQ_POST:  return "POST";
    case EVHTTP_REQ_PATCH: return "PATCH";
    case EVHTTP_REQ_PUT:   return "PUT";
    default:               return "?";
    }
}

static void on_request(struct evhttp_request *q, void *arg)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(q);
    const char *authorization = evhttp_find_header(headers, "Authorization");
    struct evbuffer *in = evhttp_request_get_input_buffer(q);
    char body[300] = "";

    (void)arg;
    evbuffer_copyout(in, body, sizeof(body) - 1);
    ck_assert_int_lt(played, scripted);
    snprintf(asked[played], sizeof(asked[played]), "%s %s %s", method(q),
             evhttp_request_get_uri(q), body);
    snprintf(bearer[played], sizeof(bearer[played]), "%s", authorization ? authorization : "");
    reply(q, script[played].status, script[played].body);
    played++;
}

/* --- a job --- */

struct job {
    struct store_job   job;
    struct store_op   *op;
    int                checkpoints, done, cancel_at;
    char               recorded[128], document[128];
    int                recorded_at;     /* requests that had been asked by then */
    enum store_verdict verdict;
    struct err         err;
};

static void on_checkpoint(void *arg, const char *document, int64_t ms)
{
    struct job *j = arg;

    ck_assert_int_gt(ms, 0);
    if (document) {
        snprintf(j->recorded, sizeof(j->recorded), "%s", document);
        j->recorded_at = played;
    }
    if (++j->checkpoints == j->cancel_at)
        store_cancel(j->op);
    else
        store_proceed(j->op);
}

static void on_done(void *arg, enum store_verdict verdict, const char *document,
                    const struct err *e)
{
    struct job *j = arg;

    j->done++;
    j->verdict = verdict;
    snprintf(j->document, sizeof(j->document), "%s", document);
    if (e)
        j->err = *e;
}

static const struct store_handlers handlers = { on_checkpoint, on_done };

static struct job a_job(const char *document)
{
    return (struct job){ .job = { .task_id = "t-1", .name = "My \"dialog\"", .document = document,
                                  .html = "<p>hi</p>", .html_len = 9 } };
}

static struct job written(const char *document)
{
    static struct job j;

    j = a_job(document);
    j.op = store_write(store, &j.job, &handlers, &j);
    ck_assert_int_eq(j.checkpoints + j.done, 0); /* never before it has returned */
    support_until_count(loop, &j.done, 1);
    ck_assert_int_eq(played, scripted);
    return j;
}

static void asks(int n, const char *what)
{
    ck_assert_msg(strstr(asked[n], what) != NULL, "%s\nis not in\n%s", what, asked[n]);
}

/* --- */

static void write_credentials(void)
{
    FILE *f;

    snprintf(credentials, sizeof(credentials), "%s/user.json", support_dir());
    f = fopen(credentials, "w");
    fprintf(f, "{\"type\":\"authorized_user\",\"client_id\":\"i\",\"client_secret\":\"s\","
               "\"refresh_token\":\"r\",\"token_uri\":\"%s/token\"}", root);
    fclose(f);
}

static void open_store(void)
{
    struct store_deps deps = { loop, redis, &settings };
    struct err e = ERR_NONE;

    ck_assert_msg(store_google.open(&deps, &store, &e) == ERR_OK, "%s", e.detail);
}

static void start_redis(void) { server = support_redis_start(); }
static void stop_redis(void) { support_redis_stop(server); }

static void setup(void)
{
    struct redis_options o = { .url = support_redis_url(server), .connect_timeout = 1000,
                               .timeout = 5000, .name = "test" };
    int port = support_free_port();

    support_redis_flush(server);
    loop = loop_new();
    ck_assert_int_eq(redis_new(loop, &o, &redis, NULL), ERR_OK);
    google = evhttp_new(loop_base(loop));
    evhttp_set_allowed_methods(google, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PATCH
                                       | EVHTTP_REQ_PUT);
    ck_assert_int_eq(evhttp_bind_socket(google, "127.0.0.1", (uint16_t)port), 0);
    evhttp_set_cb(google, "/token", on_token, NULL);
    evhttp_set_gencb(google, on_request, NULL);
    snprintf(root, sizeof(root), "http://127.0.0.1:%d", port);
    write_credentials();
    settings.google.credentials = credentials;
    settings.google.folder_id = "dialogs";
    settings.google.staging_folder_id = "staging";
    settings.google.api_root = root;
    settings.google.scope = "https://www.googleapis.com/auth/drive";
    settings.google.subject = "";
    settings.google.timeout = settings.google.upload_timeout = 5000;
    scripted = played = tokens_given = 0;
    token_status = 200;
    open_store();
}

static void teardown(void)
{
    store_close(store);
    redis_free(redis);
    evhttp_free(google);
    loop_free(loop);
}

START_TEST(a_document_is_made_empty_filled_then_named_and_moved)
{
    will(CREATED);
    will(FILLED);
    will(DONE);
    struct job j = written("");

    ck_assert_int_eq(j.verdict, STORE_OK);
    ck_assert_str_eq(j.document, "doc-1");
    asks(0, "POST /drive/v3/files?supportsAllDrives=true&fields=id ");
    asks(0, "\"parents\":[\"staging\"]");
    asks(0, "\"confabTask\":\"t-1\"");
    asks(1, "PATCH /upload/drive/v3/files/doc-1?uploadType=multipart&supportsAllDrives=true");
    asks(1, "<p>hi</p>");
    asks(2, "PATCH /drive/v3/files/doc-1?addParents=dialogs&removeParents=staging&");
    asks(2, "{\"name\":\"My \\\"dialog\\\"\",\"trashed\":false}");
    ck_assert_str_eq(j.recorded, "doc-1");
    ck_assert_int_eq(j.recorded_at, 1); /* before anything was written into it */
    ck_assert_int_eq(j.checkpoints, 4); /* the staging folder's, and one for each request */
}
END_TEST

START_TEST(a_recorded_document_is_not_made_again)
{
    will(FILLED);
    will(DONE);
    struct job j = written("doc-1");

    ck_assert_int_eq(j.verdict, STORE_OK);
    ck_assert_str_eq(j.recorded, "");
    asks(0, "PATCH /upload");
}
END_TEST

START_TEST(a_document_that_was_moved_already_is_not_moved_again)
{
    will(200, "{" DOC ",\"parents\":[\"dialogs\"]}");
    will(DONE);
    ck_assert_int_eq(written("doc-1").verdict, STORE_OK);
    asks(1, "PATCH /drive/v3/files/doc-1?supportsAllDrives=true");
}
END_TEST

START_TEST(a_recorded_document_that_is_gone_is_made_anew_once)
{
    will(GONE);
    will(200, "{\"id\":\"doc-2\"}");
    will(200, "{\"id\":\"doc-2\",\"parents\":[\"staging\"]}");
    will(DONE);
    struct job j = written("doc-1");

    ck_assert_int_eq(j.verdict, STORE_OK);
    ck_assert_str_eq(j.recorded, "doc-2");
    ck_assert_str_eq(j.document, "doc-2");
}
END_TEST

START_TEST(documents_that_vanish_one_after_the_other_end_the_attempt)
{
    will(GONE);
    will(CREATED);
    will(GONE);
    ck_assert_int_eq(written("doc-1").verdict, STORE_TRY_AGAIN);
}
END_TEST

START_TEST(a_missing_dialogs_folder_is_not_taken_for_a_missing_document)
{
    will(FILLED);
    will(NOTHERE);
    struct job j = written("doc-1");

    ck_assert_int_eq(j.verdict, STORE_MISCONFIGURED);
    ck_assert_ptr_nonnull(strstr(j.err.detail, "GOOGLE_DRIVE_FOLDER_ID"));
    ck_assert_str_eq(j.document, "doc-1");
}
END_TEST

START_TEST(a_missing_staging_folder_names_its_setting)
{
    will(NOTHERE);
    struct job j = written("");

    ck_assert_int_eq(j.verdict, STORE_MISCONFIGURED);
    ck_assert_ptr_nonnull(strstr(j.err.detail, "google.staging_folder_id"));
}
END_TEST

START_TEST(a_refused_token_is_renewed_and_the_call_repeated_once)
{
    will(REFUSED);
    will(FILLED);
    will(DONE);
    struct job j = written("doc-1");

    ck_assert_int_eq(j.verdict, STORE_OK);
    ck_assert_str_eq(bearer[0], "Bearer token-1");
    ck_assert_str_eq(bearer[1], "Bearer token-2");
    ck_assert_int_eq(tokens_given, 2);
    ck_assert_int_eq(j.checkpoints, 4);
}
END_TEST

START_TEST(a_token_refused_twice_ends_the_attempt)
{
    will(REFUSED);
    will(REFUSED);
    ck_assert_int_eq(written("doc-1").verdict, STORE_TRY_AGAIN);
}
END_TEST

START_TEST(without_a_token_nothing_is_asked_and_the_operator_is_told)
{
    token_status = 400;
    struct job j = written("doc-1");

    ck_assert_int_eq(j.verdict, STORE_MISCONFIGURED);
    ck_assert_ptr_nonnull(strstr(j.err.detail, "GOOGLE_APPLICATION_CREDENTIALS"));
}
END_TEST

START_TEST(one_token_serves_all)
{
    static struct job jobs[5];

    for (int i = 0; i < 15; i++)
        will(200, "{" DOC ",\"parents\":[\"staging\"]}");
    for (int i = 0; i < 5; i++) {
        jobs[i] = a_job("");
        jobs[i].op = store_write(store, &jobs[i].job, &handlers, &jobs[i]);
    }
    for (int i = 0; i < 5; i++) {
        support_until_count(loop, &jobs[i].done, 1);
        ck_assert_int_eq(jobs[i].verdict, STORE_OK);
    }
    ck_assert_int_eq(tokens_given, 1);
}
END_TEST

START_TEST(a_fault_between_the_steps_keeps_the_document)
{
    will(CREATED);
    will(BROKEN);
    struct job j = written("");

    ck_assert_int_eq(j.verdict, STORE_AWAY);
    ck_assert_str_eq(j.recorded, "doc-1");
    ck_assert_str_eq(j.document, "doc-1");
}
END_TEST

/* At each checkpoint in turn: the lease is lost, and nothing more is asked. */
START_TEST(a_job_cancelled_at_a_checkpoint_asks_no_more)
{
    struct job j = a_job("");

    will(CREATED);
    will(FILLED);
    will(DONE);
    j.cancel_at = _i;
    j.op = store_write(store, &j.job, &handlers, &j);
    support_until_count(loop, &j.checkpoints, _i);
    support_turn(loop, 50);
    ck_assert_int_eq(j.done, 0);
    ck_assert_int_eq(played, _i < 2 ? 0 : _i - 2);
}
END_TEST

START_TEST(a_job_may_be_cancelled_at_any_time)
{
    struct job j = a_job("");

    will(CREATED);
    will(FILLED);
    will(DONE);
    j.op = store_write(store, &j.job, &handlers, &j);
    if (_i)
        support_until_count(loop, &j.checkpoints, _i);
    store_cancel(j.op);
    support_turn(loop, 50);
    ck_assert_int_eq(j.done, 0);
}
END_TEST

/* --- the staging folder --- */

#define DRIVE     200, "{\"id\":\"dialogs\",\"driveId\":\"drive\"}"
#define GENERATED 200, "{\"ids\":[\"folder-1\"]}"

/* The folder's id is kept, but Google does not get to make it. */
static void record_a_staging_folder(void)
{
    settings.google.staging_folder_id = "";
    will(DRIVE);
    will(GENERATED);
    will(BROKEN);
    ck_assert_int_eq(written("").verdict, STORE_AWAY);
    scripted = played = 0;
}

START_TEST(the_staging_folder_is_recorded_before_it_is_made)
{
    record_a_staging_folder();

    char *kept = support_redis_ask(server, "HVALS c1:install");
    ck_assert_ptr_nonnull(strstr(kept, "folder-1"));
    free(kept);
}
END_TEST

START_TEST(a_staging_folder_that_was_recorded_but_not_made_is_made)
{
    record_a_staging_folder();
    will(NOTHERE);
    will(DRIVE);
    will(200, "{\"id\":\"folder-1\"}");
    will(CREATED);
    will(FILLED);
    will(DONE);
    ck_assert_int_eq(written("").verdict, STORE_OK);
    asks(0, "GET /drive/v3/files/folder-1?");
    asks(2, "\"id\":\"folder-1\"");
    asks(2, "\"parents\":[\"drive\"]");
    asks(3, "\"parents\":[\"folder-1\"]");
}
END_TEST

START_TEST(a_staging_folder_that_somebody_made_meanwhile_is_used)
{
    settings.google.staging_folder_id = "";
    will(DRIVE);
    will(GENERATED);
    will(409, "{}");
    will(200, "{\"id\":\"folder-1\",\"trashed\":false}");
    will(CREATED);
    will(FILLED);
    will(DONE);
    ck_assert_int_eq(written("").verdict, STORE_OK);
}
END_TEST

START_TEST(a_staging_folder_in_the_bin_is_replaced)
{
    record_a_staging_folder();
    will(200, "{\"id\":\"folder-1\",\"trashed\":true}");
    will(DRIVE);
    will(200, "{\"ids\":[\"folder-2\"]}");
    will(200, "{\"id\":\"folder-2\"}");
    will(CREATED);
    will(FILLED);
    will(DONE);
    ck_assert_int_eq(written("").verdict, STORE_OK);
    asks(4, "\"parents\":[\"folder-2\"]");
}
END_TEST

START_TEST(an_unseen_dialogs_folder_says_what_to_set)
{
    settings.google.staging_folder_id = "";
    will(NOTHERE);
    struct job j = written("");

    ck_assert_int_eq(j.verdict, STORE_MISCONFIGURED);
    ck_assert_ptr_nonnull(strstr(j.err.detail, "google.staging_folder_id"));
}
END_TEST

START_TEST(redis_away_is_no_fault_of_the_task)
{
    support_redis_freeze(server);
    struct job j = written("");
    support_redis_thaw(server);

    ck_assert_int_eq(j.verdict, STORE_AWAY);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("google_store");
    TCase *c = tcase_create("protocol");

    tcase_add_unchecked_fixture(c, start_redis, stop_redis);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_document_is_made_empty_filled_then_named_and_moved);
    tcase_add_test(c, a_recorded_document_is_not_made_again);
    tcase_add_test(c, a_document_that_was_moved_already_is_not_moved_again);
    tcase_add_test(c, a_recorded_document_that_is_gone_is_made_anew_once);
    tcase_add_test(c, documents_that_vanish_one_after_the_other_end_the_attempt);
    tcase_add_test(c, a_missing_dialogs_folder_is_not_taken_for_a_missing_document);
    tcase_add_test(c, a_missing_staging_folder_names_its_setting);
    tcase_add_test(c, a_refused_token_is_renewed_and_the_call_repeated_once);
    tcase_add_test(c, a_token_refused_twice_ends_the_attempt);
    tcase_add_test(c, without_a_token_nothing_is_asked_and_the_operator_is_told);
    tcase_add_test(c, one_token_serves_all);
    tcase_add_test(c, a_fault_between_the_steps_keeps_the_document);
    tcase_add_loop_test(c, a_job_cancelled_at_a_checkpoint_asks_no_more, 1, 5);
    tcase_add_loop_test(c, a_job_may_be_cancelled_at_any_time, 0, 5);
    tcase_add_test(c, the_staging_folder_is_recorded_before_it_is_made);
    tcase_add_test(c, a_staging_folder_that_was_recorded_but_not_made_is_made);
    tcase_add_test(c, a_staging_folder_that_somebody_made_meanwhile_is_used);
    tcase_add_test(c, a_staging_folder_in_the_bin_is_replaced);
    tcase_add_test(c, an_unseen_dialogs_folder_says_what_to_set);
    tcase_add_test(c, redis_away_is_no_fault_of_the_task);
    suite_add_tcase(s, c);
    return support_run(s);
}
