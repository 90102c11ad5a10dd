/* GET /status on the operators' listener: who is at work in the pool, and which upstreams serve
 * it. As text, in the manner of php-fpm's page; with ?json, as JSON. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/pool_view.h"
#include "fcgi/response.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"

enum { PAGE_MAX = 256 << 10 };

/* Text */

static void text_upstreams(struct buf *out, const struct pool_view *v)
{
    for (size_t i = 0; i < v->upstream_count; i++) {
        const struct model_upstream *u = &v->upstreams[i];

        buf_addf(out, "upstream:             %s (%s), asked %" PRIu64 ", failed %" PRIu64
                 ", ", u->name, u->describe, u->asked, u->failed);
        if (v->cooling_in[i] > 0)
            buf_addf(out, "cooling down for %" PRId64 " s in %zu children\n",
                     (u->cooling + 999) / 1000, v->cooling_in[i]);
        else
            buf_adds(out, "in use\n");
    }
}

static void text(struct buf *out, const struct pool_view *v, const struct settings *s)
{
    char time[CLOCK_RFC3339_SIZE];

    buf_addf(out, "pool:                 confab\n"
             "start time:           %s\n"
             "start since:          %" PRId64 "\n"
             "children:             %zu of %" PRId64 "\n"
             "draining children:    %zu\n"
             "requests:             %" PRIu64 "\n"
             "active requests:      %" PRIu64 "\n"
             "max active requests:  %" PRId64 " a child\n"
             "streams:              %" PRIu64 "\n"
             "errors:               %" PRIu64 "\n"
             "rejected:             %" PRIu64 "\n",
             clock_rfc3339(v->started_at, time), (v->now - v->started_at) / 1000, v->count,
             s->server.children, v->draining, v->totals.requests, v->active,
             s->server.max_requests, v->streams, v->totals.errors, v->totals.rejected);
    text_upstreams(out, v);
    buf_addf(out, "\n%8s %-8s %10s %10s %10s %8s %8s %8s %8s\n", "pid", "state", "since s",
             "turned ms", "requests", "active", "streams", "errors", "rejected");
    for (size_t i = 0; i < v->count; i++) {
        const struct pool_slot *p = &v->slots[i];

        buf_addf(out, "%8d %-8s %10" PRId64 " %10" PRId64 " %10" PRIu64 " %8" PRIu64 " %8" PRIu64
                 " %8" PRIu64 " %8" PRIu64 "\n", p->pid, pool_slot_state(p),
                 (v->now - p->started_at) / 1000, v->now - p->turned_at, p->counts.requests,
                 p->active, p->streams, p->counts.errors, p->counts.rejected);
    }
}

/* JSON */

static void member(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "\"%s\":", name);
    text_json_string(out, value, text_utf8_prefix(value, strlen(value)));
}

static void json_upstreams(struct buf *out, const struct pool_view *v)
{
    for (size_t i = 0; i < v->upstream_count; i++) {
        const struct model_upstream *u = &v->upstreams[i];

        buf_adds(out, i ? ",{" : "{");
        member(out, "name", u->name);
        buf_addc(out, ',');
        member(out, "answers", u->describe);
        buf_addf(out, ",\"asked\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"cooling_ms\":%" PRId64
                 ",\"cooling_in\":%zu}", u->asked, u->failed, u->cooling, v->cooling_in[i]);
    }
}

static void json_processes(struct buf *out, const struct pool_view *v)
{
    char time[CLOCK_RFC3339_SIZE];

    for (size_t i = 0; i < v->count; i++) {
        const struct pool_slot *p = &v->slots[i];

        buf_addf(out, "%s{\"pid\":%d,\"state\":\"%s\",\"started_at\":\"%s\",\"turned_ms\":%" PRId64
                 ",\"requests\":%" PRIu64 ",\"active\":%" PRIu64 ",\"streams\":%" PRIu64
                 ",\"errors\":%" PRIu64 ",\"rejected\":%" PRIu64 "}", i ? "," : "", p->pid,
                 pool_slot_state(p), clock_rfc3339(p->started_at, time), v->now - p->turned_at,
                 p->counts.requests, p->active, p->streams, p->counts.errors, p->counts.rejected);
    }
}

static void json(struct buf *out, const struct pool_view *v, const struct settings *s)
{
    char time[CLOCK_RFC3339_SIZE];

    buf_addf(out, "{\"pool\":\"confab\",\"started_at\":\"%s\",\"children\":%" PRId64
             ",\"living\":%zu,\"draining\":%zu,\"requests\":%" PRIu64 ",\"active\":%" PRIu64
             ",\"max_active\":%" PRId64 ",\"streams\":%" PRIu64 ",\"errors\":%" PRIu64
             ",\"rejected\":%" PRIu64 ",\"upstreams\":[",
             clock_rfc3339(v->started_at, time), s->server.children, v->count, v->draining,
             v->totals.requests, v->active, s->server.max_requests, v->streams, v->totals.errors,
             v->totals.rejected);
    json_upstreams(out, v);
    buf_adds(out, "],\"processes\":[");
    json_processes(out, v);
    buf_adds(out, "]}");
}

static bool wants_json(const struct request *r)
{
    struct buf value;
    bool wanted;

    buf_init(&value, 16);
    wanted = strcmp(r->query, "json") == 0 || request_query(r, "json", &value);
    buf_close(&value);
    return wanted;
}

void handle_pool_status(struct request *r)
{
    const struct settings *s = &r->app->settings;
    struct pool_view *v = pool_view_new(r->app);
    struct err e = ERR_NONE;
    struct buf page;

    if (!v) {
        err_set(&e, ERR_INTERNAL, "there is no scoreboard to show");
        response_error(r, &e);
        return;
    }
    buf_init(&page, PAGE_MAX);
    if (wants_json(r)) {
        json(&page, v, s);
        response_json(r, 200, &page);
    } else {
        text(&page, v, s);
        response_bytes(r, 200, "text/plain; charset=utf-8", page.data, page.len);
    }
    buf_close(&page);
    free(v);
}
