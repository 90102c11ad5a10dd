#include "jobrunner/retry.h"

#include <stdlib.h>

static int64_t random_up_to(int64_t ms)
{
    return ms <= 0 ? 0 : (int64_t)arc4random_uniform(ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX);
}

/* Doubles with each try in a row, and spreads over the upper half, so that tasks which failed
 * together do not come back together. */
static int64_t backoff(int64_t base, int64_t max, int64_t tries)
{
    int64_t ms = base;

    while (--tries > 0 && ms < max)
        ms *= 2;
    if (ms > max)
        ms = max;
    return ms - random_up_to(ms / 2);
}

struct retry retry_decide(const struct settings *s, const struct task *t,
                          enum store_verdict verdict, int retry_after)
{
    struct retry r = {
        .counts = true,
        .delay_ms = backoff(s->tasks.retry_base, s->tasks.retry_max, t->tries),
    };

    switch (verdict) {
    case STORE_OK:
    case STORE_TRY_AGAIN:
        r.code = "document_failed";
        break;
    case STORE_LIMITED:
        r.code = "document_store_limited";
        r.counts = false;
        break;
    case STORE_AWAY:
        r.code = "document_store_away";
        r.counts = t->started_at - t->created_at >= s->tasks.fault_grace;
        break;
    case STORE_MISCONFIGURED:
        r.code = "document_store_misconfigured";
        r.counts = false;
        r.pause = true;
        break;
    case STORE_IMPOSSIBLE:
        r.code = "document_refused";
        r.give_up = true;
        break;
    }
    if (r.counts && t->attempts >= s->tasks.attempts)
        r.give_up = true;
    if (retry_after > 0 && r.delay_ms < retry_after * INT64_C(1000))
        r.delay_ms = retry_after * INT64_C(1000) + random_up_to(s->tasks.retry_base);
    return r;
}
