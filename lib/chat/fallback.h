#ifndef CONFAB_FALLBACK_H
#define CONFAB_FALLBACK_H
/* Which of several upstreams to ask: in the order of the settings, but one that has failed only
 * after all others, until its cool-down is over. Then a single turn tries it, while the rest
 * still pass it by. Cooling down is no ban: who has nobody else to ask, asks. No I/O. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/settings.h"

enum { FALLBACK_MAX = 1 + UPSTREAMS_MAX };

struct fallback {
    size_t  count;
    int64_t cool_down;
    struct {
        bool     failing;           /* since its last failure it has not answered */
        bool     probed;            /* one turn is finding out whether that is over */
        int64_t  cool_until;        /* monotonic ms */
        uint64_t asked, failed;
    } all[FALLBACK_MAX];
};

void fallback_init(struct fallback *f, size_t count, int64_t cool_down);
/* tried: a bit for each that this turn has asked. -1: there is none left. Counts as asked; what
 * came of it has to be told. */
int  fallback_pick(struct fallback *f, unsigned tried, int64_t now);
/* Is there one left that is not cooling down? */
bool fallback_has_better(const struct fallback *f, unsigned tried, int64_t now);

void fallback_answered(struct fallback *f, int which);
/* retry_after: ms that it asked for, 0 = it did not. */
void fallback_failed(struct fallback *f, int which, int64_t retry_after, int64_t now);
/* Given up before one could tell, or it was not the upstream's fault. */
void fallback_undecided(struct fallback *f, int which);

/* ms, 0 when it is not cooling down. */
int64_t fallback_cooling(const struct fallback *f, int which, int64_t now);

#endif
