#ifndef CONFAB_POOL_VIEW_H
#define CONFAB_POOL_VIEW_H
/* The pool as the operators' pages show it: the scoreboard, added up. */

#include "fcgi/app.h"
#include "lib/io/pool.h"

struct pool_view {
    int64_t            now;                         /* wall ms */
    int64_t            started_at;                  /* of the oldest that lives */
    size_t             count, draining;             /* of slots */
    uint64_t           active, streams;
    struct pool_counts totals;                      /* dead processes' too */
    size_t             upstream_count;
    struct model_upstream upstreams[MODEL_UPSTREAMS_MAX];   /* cooling: the longest of any child */
    size_t             cooling_in[MODEL_UPSTREAMS_MAX];     /* children */
    struct pool_slot   slots[POOL_SLOTS];           /* of those that live */
};

/* Writes down what the scoreboard says of this process and is not counted as it happens. For
 * every second, and for when somebody looks. */
void pool_view_tell(const struct app *app);
/* NULL: out of memory, or there is no scoreboard. One free(). */
struct pool_view *pool_view_new(const struct app *app);

#endif
