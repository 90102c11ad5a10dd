#include "lib/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t real_mono_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const struct clock real = { real_mono_us, real_wall_ms };
static const struct clock *now = &real;

void clock_use(const struct clock *c)
{
    now = c ? c : &real;
}

int64_t clock_us(void)
{
    return now->mono_us();
}

int64_t clock_ms(void)
{
    return now->mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    return now->wall_ms();
}

char *clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE])
{
    int64_t ms = ((wall_ms % 1000) + 1000) % 1000;
    time_t seconds = (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0)); /* rounded down */
    struct tm tm;
    size_t n;

    /* A year of more than four digits has no place in RFC 3339. */
    if (!gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < -1900) {
        seconds = 0;
        ms = 0;
        gmtime_r(&seconds, &tm);
    }
    n = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLOCK_RFC3339_SIZE - n, ".%03dZ", (int)ms);
    return out;
}
