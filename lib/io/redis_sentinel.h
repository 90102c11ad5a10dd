#ifndef CONFAB_REDIS_SENTINEL_H
#define CONFAB_REDIS_SENTINEL_H
/* Inside of redis_link.c: asks the sentinels where the master is, one after the other until one
 * knows. What it says may be out of date: whoever connects asks the server for its role. */

#include <stdint.h>

#include "lib/io/loop.h"
#include "lib/io/redis_url.h"

struct sentinel_ask;
/* problem is NULL exactly when host is set; both are borrowed. */
typedef void sentinel_fn(void *arg, const char *host, int port, const char *problem);
/* u is borrowed until the callback, which comes once, within timeout ms, and never before the
 * call returned. Begins with the sentinel at turn (modulo their number); none may take more than
 * its share of the time. NULL: out of memory, and no callback comes. */
struct sentinel_ask *sentinel_ask(struct loop *l, const struct redis_url *u, unsigned turn,
                                  int64_t timeout, sentinel_fn *fn, void *arg);
void sentinel_cancel(struct sentinel_ask *a);   /* no callback comes. NULL: nothing */

#endif
