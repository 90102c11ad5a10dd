#include "lib/chat/fallback.h"

/* A server may name any time; beyond this we look again anyway. */
enum { COOL_DOWN_MAX = 10 * 60 * 1000 };

void fallback_init(struct fallback *f, size_t count, int64_t cool_down)
{
    *f = (struct fallback){ .count = count, .cool_down = cool_down };
}

static bool is_left(unsigned tried, size_t i)
{
    return !(tried & 1u << i);
}

static bool is_usable(const struct fallback *f, size_t i, int64_t now)
{
    return !f->all[i].failing || (now >= f->all[i].cool_until && !f->all[i].probed);
}

static int first_usable(const struct fallback *f, unsigned tried, int64_t now)
{
    for (size_t i = 0; i < f->count; i++)
        if (is_left(tried, i) && is_usable(f, i, now))
            return (int)i;
    return -1;
}

/* The one whose cool-down ends first. */
static int last_resort(const struct fallback *f, unsigned tried)
{
    int best = -1;

    for (size_t i = 0; i < f->count; i++)
        if (is_left(tried, i) && (best < 0 || f->all[i].cool_until < f->all[best].cool_until))
            best = (int)i;
    return best;
}

int fallback_pick(struct fallback *f, unsigned tried, int64_t now)
{
    int which = first_usable(f, tried, now);

    if (which >= 0)
        f->all[which].probed = f->all[which].failing;
    else
        which = last_resort(f, tried);
    if (which >= 0)
        f->all[which].asked++;
    return which;
}

bool fallback_has_better(const struct fallback *f, unsigned tried, int64_t now)
{
    return first_usable(f, tried, now) >= 0;
}

void fallback_answered(struct fallback *f, int which)
{
    f->all[which].failing = false;
    f->all[which].probed = false;
}

void fallback_failed(struct fallback *f, int which, int64_t retry_after, int64_t now)
{
    int64_t rest = retry_after > f->cool_down ? retry_after : f->cool_down;

    f->all[which].failing = true;
    f->all[which].probed = false;
    f->all[which].failed++;
    f->all[which].cool_until = now + (rest < COOL_DOWN_MAX ? rest : COOL_DOWN_MAX);
}

void fallback_undecided(struct fallback *f, int which)
{
    f->all[which].probed = false;
}

int64_t fallback_cooling(const struct fallback *f, int which, int64_t now)
{
    int64_t left = f->all[which].cool_until - now;

    return f->all[which].failing && left > 0 ? left : 0;
}
