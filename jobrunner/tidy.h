#ifndef CONFAB_TIDY_H
#define CONFAB_TIDY_H
/* What keeps the queue in order, done by each runner in small steps: tasks whose next try is due
 * stand in line again, the stream is filled up from the line, tasks that it has lost are added
 * again, what stands for expired records leaves the indexes, consumers of runners that are no more
 * are forgotten. */

#include "lib/base/settings.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

struct tidy;
/* All borrowed. NULL: out of memory. */
struct tidy *tidy_new(struct loop *l, struct redis *r, const struct settings *s);
/* Redis is back: look for lost tasks now. */
void tidy_reconnected(struct tidy *t);
void tidy_free(struct tidy *t);

#endif
