#ifndef CONFAB_CLOCK_H
#define CONFAB_CLOCK_H
/* Time. Deadlines use the monotonic clock, records the wall clock. Leases that
 * several processes judge use neither: they use the time of Redis (see lua/). */

#include <stddef.h>
#include <stdint.h>

int64_t clock_us(void);        /* monotonic, microseconds */
int64_t clock_ms(void);        /* monotonic, milliseconds */
int64_t clock_wall_ms(void);   /* since 1970, UTC, milliseconds */

/* Tests put their own clock in; NULL restores the real one. Not thread safe. */
struct clock { int64_t (*mono_us)(void); int64_t (*wall_ms)(void); };
void clock_use(const struct clock *c);

enum { CLOCK_RFC3339_SIZE = 32 };
/* "2026-03-01T09:30:00.000Z" (RFC 3339, UTC, milliseconds). Returns out. */
char *clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE]);

#endif
