/* One value of a setting: from the text somebody wrote to the field in the struct. */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/conf.h"
#include "lib/base/text.h"

struct unit { const char *name; int64_t factor; };

static const struct unit time_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
    { "", 1000 }, { NULL, 0 },
};
static const struct unit size_units[] = {
    { "k", 1 << 10 }, { "m", 1 << 20 }, { "g", 1 << 30 }, { "", 1 }, { NULL, 0 },
};
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static const char *say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static const char *say(const char *fmt, ...)
{
    static char words[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    return words;
}

/* The whole number with its unit at s; false when it is none or does not fit. */
static bool read_units(const char *s, const struct unit *units, int64_t *out)
{
    char *end;
    long long n;

    if (!(*s >= '0' && *s <= '9') && !(*s == '-' && s[1] >= '0' && s[1] <= '9'))
        return false;
    errno = 0;
    n = strtoll(s, &end, 10);
    if (errno)
        return false;
    for (; units->name; units++) {
        if (strcasecmp(end, units->name) == 0)
            return !__builtin_mul_overflow((int64_t)n, units->factor, out);
    }
    return false;
}

/* n as somebody would write it: with the largest unit that divides it. */
static const char *with_unit(const struct conf_row *row, int64_t n, char out[32])
{
    const struct unit *units = row->type == CONF_TIME ? time_units
                             : row->type == CONF_SIZE ? size_units : no_units;
    const struct unit *best = NULL;

    for (const struct unit *u = units; u->name; u++) {
        if (*u->name && n != 0 && n % u->factor == 0 && (!best || u->factor > best->factor))
            best = u;
    }
    snprintf(out, 32, "%lld%s", (long long)(best ? n / best->factor : n), best ? best->name : "");
    return out;
}

static const char *set_int(const struct conf_row *row, int64_t *field, const char *value)
{
    const struct unit *units = row->type == CONF_TIME ? time_units
                             : row->type == CONF_SIZE ? size_units : no_units;
    char min[32], max[32];
    int64_t n;

    if (!read_units(value, units, &n)) {
        return row->type == CONF_TIME ? "has to be a time: 500ms, 30s, 5m, 1h, 30d"
             : row->type == CONF_SIZE ? "has to be a size: 4096, 32k, 1m"
                                      : "has to be a whole number";
    }
    if (n < row->min || n > row->max)
        return say("has to be between %s and %s", with_unit(row, row->min, min),
                   with_unit(row, row->max, max));
    *field = n;
    return NULL;
}

static const char *set_number(const struct conf_row *row, double *field, const char *value)
{
    char *end;
    double n = strtod(value, &end);

    if (end == value || *end || !isfinite(n))
        return "has to be a number";
    if (n < (double)row->min || n > (double)row->max)
        return say("has to be between %lld and %lld", (long long)row->min, (long long)row->max);
    *field = n;
    return NULL;
}

static const char *set_bool(bool *field, const char *value)
{
    static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "0", "1" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *field = i % 2;
            return NULL;
        }
    }
    return "has to be on or off";
}

static const char *set_choice(const struct conf_row *row, int *field, const char *value)
{
    const char *at = row->choices;
    size_t len = strlen(value);

    for (int i = 0; at; i++) {
        size_t word = strcspn(at, "|");

        if (word == len && strncmp(at, value, len) == 0) {
            *field = i;
            return NULL;
        }
        at = at[word] ? at + word + 1 : NULL;
    }
    return say("has to be one of %s", row->choices);
}

static const char *set_text(const struct conf_row *row, char **field, const char *value)
{
    size_t len = strlen(value);
    char *copy;

    if (!text_is_utf8(value, len) || text_has_control(value, len))
        return "has to be UTF-8 without control characters";
    if (len && ((int64_t)len < row->min || (int64_t)len > row->max))
        return say("has to have between %lld and %lld bytes", (long long)row->min,
                   (long long)row->max);
    copy = strdup(value);
    if (!copy)
        return "finds no memory";
    free(*field);
    *field = copy;
    return NULL;
}

const char *conf_set(const struct conf_row *row, void *settings, const char *value)
{
    void *field = (char *)settings + row->offset;

    switch (row->type) {
    case CONF_TEXT:
    case CONF_SECRET: return set_text(row, field, value);
    case CONF_INT:
    case CONF_TIME:
    case CONF_SIZE:   return set_int(row, field, value);
    case CONF_NUMBER: return set_number(row, field, value);
    case CONF_BOOL:   return set_bool(field, value);
    case CONF_CHOICE: return set_choice(row, field, value);
    }
    return "has no type";
}
