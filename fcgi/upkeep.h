#ifndef CONFAB_UPKEEP_H
#define CONFAB_UPKEEP_H
/* What a child does beside its requests: it beats in the scoreboard, looks who else does, and asks
 * Redis, after each connection and every few seconds, whether it keeps what it acknowledges. */

#include "fcgi/app.h"

struct upkeep;
struct upkeep *upkeep_new(struct app *app);     /* NULL: out of memory */
void           upkeep_free(struct upkeep *u);

#endif
