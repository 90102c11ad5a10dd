#include "bench/hist.h"

/* Below HIST_SUB each value has a bucket; above, each doubling has HIST_SUB / 2 more of them. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned shift, bucket;

    if (ns < HIST_SUB)
        return (unsigned)ns;
    shift = 63 - (unsigned)__builtin_clzll(ns) - 5;
    bucket = shift * (HIST_SUB / 2) + (unsigned)(ns >> shift);
    return bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t top_of(unsigned bucket)
{
    unsigned shift;

    if (bucket < HIST_SUB)
        return bucket;
    shift = bucket / (HIST_SUB / 2) - 1;
    return ((uint64_t)(bucket - shift * (HIST_SUB / 2) + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
    h->buckets[bucket_of(ns)]++;
    h->count++;
    h->sum += (double)ns;
    if (ns > h->max)
        h->max = ns;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
}

uint64_t hist_at(const struct hist *h, double q)
{
    uint64_t rank = (uint64_t)(q * (double)h->count + 0.999999), seen = 0;

    for (unsigned i = 0; i < HIST_BUCKETS && h->count; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0)
            return top_of(i) < h->max ? top_of(i) : h->max;
    }
    return 0;
}

void hist_print(FILE *out, const struct hist *h)
{
    double mean = h->count ? h->sum / (double)h->count : 0;

    fprintf(out, "{\"count\":%llu,\"mean\":%.4f,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,"
            "\"p999\":%.4f,\"max\":%.4f}", (unsigned long long)h->count, mean / 1e6,
            (double)hist_at(h, 0.5) / 1e6, (double)hist_at(h, 0.9) / 1e6,
            (double)hist_at(h, 0.99) / 1e6, (double)hist_at(h, 0.999) / 1e6, (double)h->max / 1e6);
}
