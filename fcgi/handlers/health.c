/* GET /api/v1/health: this process answers; asks nobody.
 * GET /api/v1/ready: what this child needs for its work, each with its state.
 *
 *   ready        all is well
 *   degraded     200: chats work, but something wants the operator's attention: children die, or
 *                the queue of tasks is paused
 *   unavailable  503: Redis is away, or does not keep data although it must */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/response.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/task_queue.h"
#include "lib/io/pool.h"

void handle_health(struct request *r)
{
    static const char alive[] = "{\"status\":\"alive\"}";

    r->routine = true;
    response_bytes(r, 200, "application/json", alive, sizeof(alive) - 1);
}

enum state { READY, DEGRADED, UNAVAILABLE };

struct report {
    struct buf body;
    enum state worst;
};

static const char *const states[] = { "ready", "degraded", "unavailable" };

static void add_text(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, ",\"%s\":", name);
    if (value)
        text_json_string(out, value, text_utf8_prefix(value, strlen(value)));
    else
        buf_adds(out, "null");
}

/* Begins the object of one check, which its caller closes. */
static void check_begin(struct report *p, const char *name, enum state state)
{
    buf_addf(&p->body, ",\"%s\":{\"status\":\"%s\"", name, states[state]);
    if (state > p->worst)
        p->worst = state;
}

static void check_redis(struct report *p, bool answers)
{
    check_begin(p, "redis", answers ? READY : UNAVAILABLE);
    add_text(&p->body, "problem", answers ? NULL : "Redis does not answer: see REDIS_URL");
    buf_addc(&p->body, '}');
}

static void check_durability(struct report *p, const struct app *app)
{
    bool required = app->settings.redis.durability == DURABILITY_REQUIRE;
    const char *problem = app->durability_problem;

    check_begin(p, "durability", app->durable ? READY : required ? UNAVAILABLE : DEGRADED);
    if (app->durable)
        problem = NULL;
    else if (!*problem)
        problem = "Redis was not asked yet how it keeps data";
    add_text(&p->body, "problem", problem);
    buf_addc(&p->body, '}');
}

static void check_model(struct report *p, const struct app *app)
{
    check_begin(p, "model", READY);
    buf_addf(&p->body, ",\"demo\":%s", model_is_demo(app->model) ? "true" : "false");
    add_text(&p->body, "answers", model_describe(app->model));
    buf_addc(&p->body, '}');
}

/* A pool short of children works, but somebody should look why they die. */
static void check_pool(struct report *p, const struct app *app)
{
    struct pool_slot *slots = malloc(POOL_SLOTS * sizeof(*slots));
    long long wanted = (long long)app->settings.server.children;
    size_t living = 1;

    if (slots && app->pool)
        living = pool_living(app->pool, slots, POOL_SLOTS);
    free(slots);
    check_begin(p, "pool", (long long)living < wanted ? DEGRADED : READY);
    buf_addf(&p->body, ",\"living\":%zu,\"configured\":%lld}", living, wanted);
}

static void add_time(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];

    add_text(out, name, wall_ms ? clock_rfc3339(wall_ms, text) : NULL);
}

/* Nothing is lost while the queue is paused: tasks are accepted, and wait. */
static void check_tasks(struct report *p, const struct task_queue_state *s)
{
    static const struct task_queue_state unknown;

    if (!s)
        s = &unknown;
    check_begin(p, "tasks", s->paused ? DEGRADED : READY);
    add_text(&p->body, "paused", !s->paused ? NULL : s->by_hand ? "by_hand" : s->code);
    add_text(&p->body, "problem", s->paused ? s->words : NULL);
    add_time(&p->body, "since", s->since);
    add_time(&p->body, "next_try", s->next_try);
    buf_addf(&p->body, ",\"open\":%" PRId64 ",\"running\":%" PRId64 "}", s->open, s->running);
}

static void on_state(void *arg, const struct task_queue_state *s, const struct err *e)
{
    struct request *r = arg;
    struct report p = { .worst = READY };
    struct buf whole;

    buf_init(&p.body, 4096);
    check_redis(&p, !e);
    check_durability(&p, r->app);
    check_model(&p, r->app);
    check_tasks(&p, s);
    check_pool(&p, r->app);
    buf_init(&whole, 8192);
    buf_addf(&whole, "{\"status\":\"%s\",\"checks\":{%s}}", states[p.worst],
             p.body.len > 0 ? p.body.data + 1 : "");
    response_json(r, p.worst == UNAVAILABLE ? 503 : 200, &whole);
    buf_close(&whole);
    buf_close(&p.body);
}

void handle_ready(struct request *r)
{
    struct err e = ERR_NONE;

    r->routine = true;
    /* Asked anew each time: a Redis that is stuck still has its connection. */
    if (!task_queue_state(r->app->redis, on_state, r)) {
        err_set(&e, ERR_INTERNAL, "asking Redis: out of memory");
        response_error(r, &e);
    }
}
