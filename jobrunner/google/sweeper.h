#ifndef CONFAB_SWEEPER_H
#define CONFAB_SWEEPER_H
/* What crashes leave in the staging folder: empty documents whose ids nobody recorded. Trashed are
 * only those that carry our installation's id, are older than google.orphan_age, and whose task
 * has recorded another document or is gone; and each only after it was marked in Redis, so
 * that no runner which wakes up late can record it.
 *
 * Every runner has a sweeper; they take turns, as only one looks at a time. */

#include "jobrunner/google/staging.h"

struct sweeper;
/* Begins by itself, and looks again every now and then. All borrowed. NULL: out of memory. */
struct sweeper *sweeper_new(const struct google *g, struct redis *r, struct staging *staging,
                            const struct settings *s);
void            sweeper_free(struct sweeper *w);

#endif
