/* GET /metrics on the operators' listener: the pool's figures as Prometheus reads them. Any child
 * answers for all. Counters outlive the children, gauges are of those that live. */

#include <inttypes.h>
#include <stdlib.h>

#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/pool_view.h"
#include "fcgi/response.h"

enum { PAGE_MAX = 64 << 10 };

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP confab_%s %s\n# TYPE confab_%s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type, const char *help,
                uint64_t value)
{
    head(out, name, type, help);
    buf_addf(out, "confab_%s %" PRIu64 "\n", name, value);
}

/* A label's value: what would end it is escaped. */
static void add_label(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *value);
    }
}

static void of_upstream(struct buf *out, const struct pool_view *v, const char *name, size_t i,
                        double value)
{
    buf_addf(out, "confab_%s{upstream=\"", name);
    add_label(out, v->upstreams[i].name);
    buf_addf(out, "\"} %.15g\n", value);
}

static void upstreams(struct buf *out, const struct pool_view *v)
{
    if (v->upstream_count == 0)
        return;
    head(out, "upstream_turns_total", "counter", "Turns that an upstream was asked for.");
    for (size_t i = 0; i < v->upstream_count; i++)
        of_upstream(out, v, "upstream_turns_total", i, (double)v->upstreams[i].asked);
    head(out, "upstream_failures_total", "counter",
         "Turns of them for which it failed without a word of an answer.");
    for (size_t i = 0; i < v->upstream_count; i++)
        of_upstream(out, v, "upstream_failures_total", i, (double)v->upstreams[i].failed);
    head(out, "upstream_cooling_seconds", "gauge",
         "How long an upstream that failed will still be asked last.");
    for (size_t i = 0; i < v->upstream_count; i++)
        of_upstream(out, v, "upstream_cooling_seconds", i, (double)v->upstreams[i].cooling / 1000);
}

/* A loop that does not turn is stuck; the beat that tells comes every second. */
static double longest_since_turned(const struct pool_view *v)
{
    int64_t longest = 0;

    for (size_t i = 0; i < v->count; i++)
        if (v->now - v->slots[i].turned_at > longest)
            longest = v->now - v->slots[i].turned_at;
    return (double)longest / 1000;
}

static void page(struct buf *out, const struct pool_view *v, const struct app *app)
{
    const struct settings *s = &app->settings;

    one(out, "requests_total", "counter", "Requests that were answered.", v->totals.requests);
    one(out, "request_errors_total", "counter", "Those answered with 5xx, or a stream's error.",
        v->totals.errors);
    one(out, "requests_rejected_total", "counter", "Those turned away because all places were taken.",
        v->totals.rejected);
    one(out, "requests_active", "gauge", "Requests under way.", v->active);
    one(out, "requests_max", "gauge", "Requests that may be under way, in all children.",
        (uint64_t)s->server.max_requests * v->count);
    one(out, "streams_active", "gauge", "Event streams among them.", v->streams);
    one(out, "children", "gauge", "Children of the pool that live.", v->count);
    one(out, "children_configured", "gauge", "Children that there should be.",
        (uint64_t)s->server.children);
    one(out, "children_draining", "gauge", "Children that take no new requests.", v->draining);
    head(out, "children_turned_seconds", "gauge", "Longest time since a child's loop has turned.");
    buf_addf(out, "confab_children_turned_seconds %.3f\n", longest_since_turned(v));
    one(out, "redis_up", "gauge", "Whether this child is connected to Redis.",
        redis_is_up(app->redis));
    upstreams(out, v);
}

void handle_metrics(struct request *r)
{
    struct pool_view *v = pool_view_new(r->app);
    struct err e = ERR_NONE;
    struct buf out;

    if (!v) {
        err_set(&e, ERR_INTERNAL, "there is no scoreboard to show");
        response_error(r, &e);
        return;
    }
    buf_init(&out, PAGE_MAX);
    page(&out, v, r->app);
    response_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
    buf_close(&out);
    free(v);
}
