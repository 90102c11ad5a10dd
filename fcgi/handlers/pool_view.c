#include "fcgi/handlers/pool_view.h"

#include <stdlib.h>

#include "lib/base/clock.h"

void pool_view_tell(const struct app *app)
{
    struct model_upstream upstreams[MODEL_UPSTREAMS_MAX];
    size_t count = model_upstreams(app->model, upstreams);
    struct pool_slot *mine = pool_mine(app->pool);
    int64_t now = clock_wall_ms();

    _Static_assert((int)POOL_UPSTREAMS >= (int)MODEL_UPSTREAMS_MAX, "room for each upstream");
    mine->turned_at = now;
    for (size_t i = 0; i < count; i++) {
        mine->counts.asked[i] = upstreams[i].asked;
        mine->counts.failed[i] = upstreams[i].failed;
        mine->cool_until[i] = upstreams[i].cooling ? now + upstreams[i].cooling : 0;
    }
}

static void add_cooling(struct pool_view *v, const struct pool_slot *slot)
{
    for (size_t i = 0; i < v->upstream_count; i++) {
        int64_t left = slot->cool_until[i] - v->now;

        if (left <= 0)
            continue;
        v->cooling_in[i]++;
        if (left > v->upstreams[i].cooling)
            v->upstreams[i].cooling = left;
    }
}

struct pool_view *pool_view_new(const struct app *app)
{
    struct pool_view *v = app->pool ? calloc(1, sizeof(*v)) : NULL;

    if (!v)
        return NULL;
    pool_view_tell(app);
    v->now = v->started_at = clock_wall_ms();
    v->totals = pool_totals(app->pool);
    v->upstream_count = model_upstreams(app->model, v->upstreams);
    for (size_t i = 0; i < v->upstream_count; i++) {
        v->upstreams[i].asked = v->totals.asked[i];
        v->upstreams[i].failed = v->totals.failed[i];
        v->upstreams[i].cooling = 0;
    }
    v->count = pool_living(app->pool, v->slots, POOL_SLOTS);
    for (size_t i = 0; i < v->count; i++) {
        const struct pool_slot *slot = &v->slots[i];

        v->draining += slot->draining != 0;
        v->active += slot->active;
        v->streams += slot->streams;
        if (slot->started_at < v->started_at)
            v->started_at = slot->started_at;
        add_cooling(v, slot);
    }
    return v;
}
