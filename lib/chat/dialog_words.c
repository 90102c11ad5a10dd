#include "lib/chat/dialog_words.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct tm utc(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t;

    memset(&t, 0, sizeof(t));
    gmtime_r(&seconds, &t);
    return t;
}

/* strftime would follow the locale. */
static void add_date(struct buf *out, const struct tm *t)
{
    static const char *const months[] = { "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December" };

    buf_addf(out, "%d %s %d", t->tm_mday, months[t->tm_mon], t->tm_year + 1900);
}

static bool same_day(int64_t a, int64_t b)
{
    enum { DAY = 24 * 60 * 60 * 1000 };

    return a / DAY == b / DAY;
}

void dialog_add_time(struct buf *out, int64_t at, int64_t before)
{
    struct tm t = utc(at);

    if (!before || !same_day(at, before)) {
        add_date(out, &t);
        buf_adds(out, ", ");
    }
    buf_addf(out, "%02d:%02d:%02d UTC", t.tm_hour, t.tm_min, t.tm_sec);
}

void dialog_add_period(struct buf *out, int64_t from, int64_t to)
{
    struct tm a = utc(from), b = utc(to);

    add_date(out, &a);
    buf_addf(out, ", %02d:%02d", a.tm_hour, a.tm_min);
    if (to > from && to / 60000 != from / 60000) {
        buf_adds(out, " \u2013 ");
        if (!same_day(from, to)) {
            add_date(out, &b);
            buf_adds(out, ", ");
        }
        buf_addf(out, "%02d:%02d", b.tm_hour, b.tm_min);
    }
    buf_adds(out, " UTC");
}

static void add_count(struct buf *out, int64_t n, const char *one)
{
    buf_addf(out, "%lld %s%s", (long long)n, one, n == 1 ? "" : "s");
}

static void add_duration(struct buf *out, int64_t ms)
{
    int64_t minutes = ms / 60000, hours = minutes / 60, days = hours / 24;

    if (days) {
        add_count(out, days, "day");
        if (hours % 24)
            buf_addc(out, ' '), add_count(out, hours % 24, "hour");
    } else if (hours) {
        add_count(out, hours, "hour");
        if (minutes % 60)
            buf_addc(out, ' '), add_count(out, minutes % 60, "minute");
    } else if (minutes)
        add_count(out, minutes, "minute");
    else
        buf_adds(out, "less than a minute");
}

void dialog_add_length(struct buf *out, const struct dialog_facts *f)
{
    add_count(out, f->turns, "turn");
    if (f->started_at && f->ended_at > f->started_at) {
        buf_adds(out, ", ");
        add_duration(out, f->ended_at - f->started_at);
    }
}

char *dialog_printable(const char *s, size_t len, size_t *out_len)
{
    char *copy = malloc(len + 1);
    size_t n = 0;

    if (!copy)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c >= ' ' && c != 0x7f) || c == '\n' || c == '\t')
            copy[n++] = s[i];
        else if (c == '\r' && (i + 1 == len || s[i + 1] != '\n'))
            copy[n++] = '\n';
    }
    copy[n] = '\0';
    *out_len = n;
    return copy;
}

bool dialog_has_words(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\n", s[i]))
            return true;
    return false;
}
