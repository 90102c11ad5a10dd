#ifndef CONFAB_BENCH_HIST_H
#define CONFAB_BENCH_HIST_H
/* How long things took, in nanoseconds: counted in buckets at most 1.6 % wide, so that any number
 * of values fits the same memory. */

#include <stdint.h>
#include <stdio.h>

enum { HIST_SUB = 64, HIST_BUCKETS = 40 * HIST_SUB };

struct hist {
    uint64_t count;
    uint64_t max;
    double   sum;
    uint64_t buckets[HIST_BUCKETS];
};

void     hist_add(struct hist *h, uint64_t ns);
void     hist_merge(struct hist *into, const struct hist *from);
/* The value that the part q (0 to 1) of all values does not exceed; 0 when there are none. */
uint64_t hist_at(const struct hist *h, double q);
/* {"count":..,"mean":..,"p50":..,...} in milliseconds. */
void     hist_print(FILE *out, const struct hist *h);

#endif
