#ifndef CONFAB_DURABILITY_H
#define CONFAB_DURABILITY_H
/* Does Redis keep what it acknowledges? appendonly yes, appendfsync always, maxmemory-policy
 * noeviction, asked with CONFIG GET after each connection; and as many replicas as there must be,
 * asked with ROLE. */

#include "lib/io/redis.h"

struct durability_call;

/* problem: NULL when it does, else what to change ("appendfsync is everysec: set it to always"),
 * borrowed. e: it could not be asked (ERR_STORE), or CONFIG is not allowed; then problem says that
 * too. The call is gone. */
typedef void durability_fn(void *arg, const char *problem, const struct err *e);
/* Never calls back before it has returned. NULL: out of memory, no callback. */
struct durability_call *durability_check(struct redis *r, int64_t min_replicas, durability_fn *fn,
                                         void *arg);
/* The callback does not come any more. NULL: nothing. */
void durability_call_cancel(struct durability_call *c);

#endif
