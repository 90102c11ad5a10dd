#include "fcgi/routes.h"

#include <string.h>

#include "fcgi/access.h"
#include "fcgi/app.h"
#include "fcgi/cors.h"
#include "fcgi/gateway.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/response.h"

#define OPEN ACCESS_FREE
#define KEY  ACCESS_REQUEST
#define TURN ACCESS_TURN

/* Who needs no key, and so can be answered at once, takes no place of the pool either. */
struct route {
    enum method method;         /* a GET answers HEAD as well */
    const char *pattern;        /* {name} matches one segment that is not empty */
    enum access access;
    access_fn  *handle;
};

static const struct route routes[] = {
    { METHOD_POST,   "/api/v1/chat",                            TURN, handle_chat },
    { METHOD_POST,   "/api/v1/write_to_doc",                    KEY,  handle_write_to_doc },
    { METHOD_GET,    "/api/v1/status/{task_id}",                KEY,  handle_task_status },
    { METHOD_GET,    "/api/v1/tasks",                           KEY,  handle_tasks },
    { METHOD_GET,    "/api/v1/tasks/{task_id}",                 KEY,  handle_task },
    { METHOD_DELETE, "/api/v1/tasks/{task_id}",                 KEY,  handle_task_delete },
    { METHOD_POST,   "/api/v1/tasks/{task_id}/retry",           KEY,  handle_task_retry },
    { METHOD_POST,   "/api/v1/sessions",                        KEY,  handle_session_create },
    { METHOD_GET,    "/api/v1/sessions",                        KEY,  handle_sessions },
    { METHOD_GET,    "/api/v1/sessions/{session_id}",           KEY,  handle_session },
    { METHOD_PATCH,  "/api/v1/sessions/{session_id}",           KEY,  handle_session_rename },
    { METHOD_DELETE, "/api/v1/sessions/{session_id}",           KEY,  handle_session_forget },
    { METHOD_GET,    "/api/v1/sessions/{session_id}/messages",  KEY,  handle_messages },
    { METHOD_GET,    "/api/v1/sessions/{session_id}/export",    KEY,  handle_export },
    { METHOD_GET,    "/api/v1/usage",                           KEY,  handle_usage },
    { METHOD_GET,    "/api/v1/health",                          OPEN, handle_health },
    { METHOD_GET,    "/api/v1/ready",                           OPEN, handle_ready },
    { METHOD_GET,    "/api/v1/openapi.json",                    OPEN, handle_openapi },
    { METHOD_GET,    "/docs",                                   OPEN, handle_docs },

    /* What callers of older services send. A browser gets its page freely, others need a key. */
    { METHOD_GET,    "/",                                       OPEN, handle_home },
    { METHOD_POST,   "/chat/",                                  TURN, handle_post_chat },
    { METHOD_PUT,    "/chat/{session_id}",                      TURN, handle_put_chat },
    { METHOD_GET,    "/chat_history/{session_id}",              KEY,  handle_chat_history },
};

/* On the operators' listener there is nothing else, and on the public one none of these. */
static const struct route operators_routes[] = {
    { METHOD_GET,  "/status",                   OPEN, handle_pool_status },
    { METHOD_GET,  "/metrics",                  OPEN, handle_metrics },
};

static bool segment_matches(const char *pattern, size_t len, const struct segment *s)
{
    if (*pattern == '{')
        return s->len > 0;
    return s->len == len && memcmp(s->s, pattern, len) == 0;
}

static bool path_matches(const char *pattern, const struct request *r)
{
    size_t i = 0;

    while (*pattern == '/') {
        size_t len = strcspn(++pattern, "/");

        if (i == r->segment_count || !segment_matches(pattern, len, &r->segments[i++]))
            return false;
        pattern += len;
    }
    return i == r->segment_count;
}

static bool method_matches(enum method offered, enum method asked)
{
    return asked == offered || (asked == METHOD_HEAD && offered == METHOD_GET);
}

/* The route, or NULL; then allow lists the methods that the path has, "" when it has none. */
static const struct route *find(const struct request *r, struct buf *allow)
{
    const struct route *table = r->operators ? operators_routes : routes;
    size_t count = r->operators ? sizeof(operators_routes) / sizeof(operators_routes[0])
                                : sizeof(routes) / sizeof(routes[0]);

    for (size_t i = 0; i < count; i++) {
        const struct route *route = &table[i];

        if (!path_matches(route->pattern, r))
            continue;
        if (method_matches(route->method, r->method))
            return route;
        buf_addf(allow, "%s%s%s", allow->len ? ", " : "", request_method_name(route->method),
                 route->method == METHOD_GET ? ", HEAD" : "");
    }
    return NULL;
}

/* What a browser asks before it lets a page of another origin call us. It carries no key. */
static void options(struct request *r, struct buf *allow)
{
    if (r->headers[HEADER_ORIGIN] && r->headers[HEADER_ACR_METHOD])
        cors_preflight_headers(r, allow->data);
    buf_adds(allow, ", OPTIONS");
    response_header(r, "Allow", allow->data);
    response_bytes(r, 204, NULL, NULL, 0);
}

static void refuse(struct request *r, enum err_code code, const char *detail)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", detail);
    response_error(r, &e);
}

static void no_route(struct request *r, struct buf *allow)
{
    if (allow->len == 0) {
        refuse(r, ERR_NO_ROUTE, "there is nothing at this address");
    } else if (r->method == METHOD_OPTIONS) {
        options(r, allow);
    } else {
        buf_adds(allow, ", OPTIONS");
        response_header(r, "Allow", allow->data);
        refuse(r, ERR_METHOD, "see Allow for those it has");
    }
}

void routes_dispatch(struct request *r)
{
    struct err e = ERR_NONE;
    const struct route *route;
    struct buf allow;

    if (request_split(r, &e) != ERR_OK) {
        response_error(r, &e);
        return;
    }
    buf_init(&allow, 256);
    route = find(r, &allow);
    if (!route) {
        no_route(r, &allow);
    } else {
        r->route = route->pattern;
        if (route->access == OPEN || gateway_take_place(r))
            access_check(r, route->access, route->handle);
    }
    buf_close(&allow);
}
