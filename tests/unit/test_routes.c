/* Which handler a request reaches, and what those get that reach none. The handlers behind
 * these requests need neither Redis nor a model. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fcgi/gateway.h"
#include "fcgi/routes.h"
#include "tests/unit/fcgi_client.h"
#include "tests/unit/support.h"

static struct app *app;
static char path[200];
static int listen_fd;
static struct fcgi_client *client;

static struct support_redis *redis;

static void start_redis(void)
{
    redis = support_redis_start();
}

static void stop_redis(void)
{
    support_redis_stop(redis);
}

static void require_key(void)
{
    app->settings.server.api_key = (char *)"the-key";
    app->settings.server.access = ACCESS_AUTO;
    fcgi_app_use_redis(app, support_redis_url(redis));
}

static void setup(void)
{
    app = fcgi_app();
    client = NULL;
    snprintf(path, sizeof(path), "%s/sock", support_dir());
    listen_fd = fcgi_listen(path);
    app->gateway = gateway_new(app, listen_fd, routes_dispatch);
    ck_assert_ptr_nonnull(app->gateway);
}

static void teardown(void)
{
    fcgi_leave(client);
    gateway_free(app->gateway);
    close(listen_fd);
    unlink(path);
    fcgi_app_free(app);
}

static int ask(const char *method, const char *uri, const char *const *params)
{
    client = fcgi_connect(app->loop, path);
    fcgi_ask(client, method, uri, params, NULL, 0);
    support_until(app->loop, &client->closed);
    ck_assert(client->ended);
    return fcgi_status(client);
}

static const struct { const char *method, *uri; int status; const char *allow; } requests[] = {
    { "GET", "/api/v1/health", 200, NULL },
    { "HEAD", "/api/v1/health", 200, NULL },
    { "GET", "/api/v1/health?x=1", 200, NULL },
    { "GET", "/api/v1/%68ealth", 200, NULL },
    { "OPTIONS", "/api/v1/health", 204, "GET, HEAD, OPTIONS" },
    { "OPTIONS", "/api/v1/chat", 204, "POST, OPTIONS" },
    { "OPTIONS", "/api/v1/nothing", 404, NULL },
    { "POST", "/api/v1/health", 405, "GET, HEAD, OPTIONS" },
    { "BREW", "/api/v1/health", 405, "GET, HEAD, OPTIONS" },
    { "GET", "/api/v1/chat", 405, "POST, OPTIONS" },
    { "PUT", "/api/v1/tasks/x", 405, "GET, HEAD, DELETE, OPTIONS" },
    { "GET", "/api/v1/tasks/x/retry", 405, "POST, OPTIONS" },
    { "DELETE", "/api/v1/tasks/a%20b", 404, NULL },
    { "POST", "/api/v1/chat", 415, NULL },
    { "POST", "/api/v1/write_to_doc", 415, NULL },
    { "GET", "/api/v1/status/a%20b", 404, NULL },
    { "GET", "/api/v1/tasks/a%00b", 404, NULL },
    { "GET", "/api/v1/tasks?limit=0", 422, NULL },
    { "GET", "/api/v1/tasks/a/b", 404, NULL },
    { "GET", "/api/v1/health/", 404, NULL },
    { "GET", "/api//v1/health", 404, NULL },
    { "GET", "/nothing", 404, NULL },
    { "POST", "/", 405, "GET, HEAD, OPTIONS" },
    { "GET", "/1/2/3/4/5/6/7/8/9/10", 404, NULL },
    { "GET", "/api/v1/../v1/health", 422, NULL },
    { "GET", "/api/v1/%2e/health", 422, NULL },
    { "GET", "/api/v1/%/health", 400, NULL },
};

START_TEST(a_request_reaches_its_handler_or_learns_why_not)
{
    char allow[100];

    ck_assert_int_eq(ask(requests[_i].method, requests[_i].uri, NULL), requests[_i].status);
    snprintf(allow, sizeof(allow), "Allow: %s", requests[_i].allow ? requests[_i].allow : "");
    ck_assert_int_eq(fcgi_has_header(client, allow), requests[_i].allow != NULL);
}
END_TEST

static const struct { const char *uri, *sent; int status; } keys[] = {
    { "/api/v1/tasks/a%20b", NULL, 401 },
    { "/api/v1/tasks/a%20b", "Bearer wrong", 401 },
    { "/api/v1/tasks/a%20b", "Bearer the-ke", 401 },
    { "/api/v1/tasks/a%20b", "Bearer the-key2", 401 },
    { "/api/v1/tasks/a%20b", "Bearer ", 401 },
    { "/api/v1/tasks/a%20b", "", 401 },
    { "/api/v1/tasks/a%20b", "Basic the-key", 401 },
    { "/api/v1/tasks/a%20b", "the-key", 401 },
    { "/api/v1/tasks/a%20b", "Bearer the-key", 404 },
    { "/api/v1/tasks/a%20b", "bearer  the-key", 404 },
    { "/api/v1/health", NULL, 200 },
    { "/api/v1/nothing", NULL, 404 },
};

START_TEST(with_a_key_configured_only_its_holder_gets_in)
{
    const char *params[] = { "HTTP_AUTHORIZATION", keys[_i].sent, NULL };

    require_key();
    ck_assert_int_eq(ask("GET", keys[_i].uri, keys[_i].sent ? params : NULL), keys[_i].status);
    ck_assert_int_eq(fcgi_has_header(client, "WWW-Authenticate: Bearer realm=\"confab\""),
                     keys[_i].status == 401);
}
END_TEST

START_TEST(a_preflight_needs_no_key_and_a_listed_origin)
{
    const char *params[] = { "HTTP_ORIGIN", _i ? "https://evil.example" : "https://a.example",
                             "HTTP_ACCESS_CONTROL_REQUEST_METHOD", "POST", NULL };

    require_key();
    app->settings.server.cors_origins = (char *)"https://a.example";
    ck_assert_int_eq(ask("OPTIONS", "/api/v1/chat", params), 204);
    ck_assert_int_eq(fcgi_has_header(client, "Access-Control-Allow-Origin: https://a.example"),
                     !_i);
    ck_assert_int_eq(fcgi_has_header(client, "Access-Control-Allow-Methods: POST"), !_i);
    ck_assert_int_eq(strstr(client->text.data, "Idempotency-Key") != NULL, !_i);
    ck_assert_int_eq(fcgi_has_header(client, "Access-Control-Max-Age: 600"), !_i);
}
END_TEST

START_TEST(an_error_may_be_read_by_a_listed_origin_too)
{
    const char *params[] = { "HTTP_ORIGIN", "https://a.example", NULL };

    require_key();
    app->settings.server.cors_origins = (char *)"*";
    ck_assert_int_eq(ask("POST", "/api/v1/chat", params), 401);
    ck_assert(fcgi_has_header(client, "Access-Control-Allow-Origin: https://a.example"));
    ck_assert_ptr_nonnull(strstr(client->text.data,
                                 "Access-Control-Expose-Headers: X-Request-Id, X-Session-Id, "
                                 "Location"));
}
END_TEST

#define COUNT(table) (sizeof(table) / sizeof(table[0]))

int main(void)
{
    Suite *suite = suite_create("routes");
    TCase *t = tcase_create("routes");

    tcase_add_unchecked_fixture(t, start_redis, stop_redis);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_request_reaches_its_handler_or_learns_why_not, 0, COUNT(requests));
    tcase_add_loop_test(t, with_a_key_configured_only_its_holder_gets_in, 0, COUNT(keys));
    tcase_add_loop_test(t, a_preflight_needs_no_key_and_a_listed_origin, 0, 2);
    tcase_add_test(t, an_error_may_be_read_by_a_listed_origin_too);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
