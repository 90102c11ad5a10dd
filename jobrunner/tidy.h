#ifndef CONFAB_TIDY_H
#define CONFAB_TIDY_H
/* What keeps the queue in order, done by each runner in small steps: tasks whose next try is due
 * go back into the stream, tasks that the stream has lost are added again, consumers of runners
 * that are no more are forgotten. */

#include "lib/io/loop.h"
#include "lib/io/redis.h"

struct tidy;
struct tidy *tidy_new(struct loop *l, struct redis *r);     /* NULL: out of memory */
/* Redis is back: look for lost tasks now. */
void tidy_reconnected(struct tidy *t);
void tidy_free(struct tidy *t);

#endif
