#include "lib/chat/dialog_html.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/direction.h"
#include "lib/chat/markdown.h"

/* What only browsers and printers need. Google drops it; what it must keep stands inline. */
static const char style_sheet[] =
    "body{margin:0;background:#fff;color:#202124;font:11pt/1.55 Arial,'Helvetica Neue',Helvetica,"
    "'Noto Sans',sans-serif;overflow-wrap:break-word}\n"
    "main{max-width:44rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}\n"
    "h1{font-size:22pt;line-height:1.25;font-weight:600;margin:0 0 1rem;overflow-wrap:anywhere}\n"
    "h2{font-size:11pt;line-height:1.4;margin:1.4rem 0 .45rem}\n"
    "h3,h4,h5,h6{line-height:1.3;margin:1.3em 0 .4em}\n"
    "h3{font-size:15pt}h4{font-size:13pt}h5,h6{font-size:11pt}\n"
    "p,ul,ol{margin:0 0 .7em}ul,ol{padding-inline-start:1.6em}li{margin:.15em 0}\n"
    "li>ul,li>ol{margin:.15em 0}li>p:last-child,blockquote>p:last-child{margin-bottom:0}\n"
    "td,th{line-height:1.4}.facts td{font-size:9.5pt}\n"
    "hr{margin:1.6rem 0}\n"
    ".user{background:#eef3fd;border-radius:10px;padding:.7rem 1rem}\n"
    ".user p:last-child,.answer>:last-child{margin-bottom:0}\n"
    ".answer{overflow-x:auto}.answer>:first-child{margin-top:0}\n"
    "@page{margin:18mm}\n"
    "@media print{main{max-width:none;padding:0}body{font-size:10.5pt}.answer{overflow:visible}\n"
    "h1,h2,h3,h4,h5,h6{break-after:avoid}tr,blockquote,.user{break-inside:avoid}\n"
    "p{orphans:3;widows:3}\n"
    ".user,td,th,code{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

#define COLOR_FAINT  "#5f6368"
#define FACT_LABEL   "border:0;padding:1pt 14pt 1pt 0;color:" COLOR_FAINT ";vertical-align:top"
#define FACT_VALUE   "border:0;padding:1pt 0;vertical-align:top"
#define SPEAKER_TIME "font-size:9pt;font-weight:normal;color:" COLOR_FAINT
#define RULE         "<hr style=\"border:0;border-top:1px solid #dadce0\">\n"

void dialog_html_init(void)
{
    markdown_init();
}

/* --- times --- */

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

/* The date is left out on the day of `before` (0: never). */
static void add_time(struct buf *out, int64_t at, int64_t before)
{
    char machine[CLOCK_RFC3339_SIZE];
    struct tm t = utc(at);

    buf_addf(out, "<time datetime=\"%s\">", clock_rfc3339(at, machine));
    if (!before || !same_day(at, before)) {
        add_date(out, &t);
        buf_adds(out, ", ");
    }
    buf_addf(out, "%02d:%02d:%02d UTC</time>", t.tm_hour, t.tm_min, t.tm_sec);
}

/* "1 March 2026, 09:30 – 09:52 UTC" */
static void add_period(struct buf *out, int64_t from, int64_t to)
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

/* --- the head of the page --- */

static void add_text(struct buf *out, const char *s)
{
    text_html(out, s, strlen(s));
}

static void fact_begin(struct buf *out, const char *label)
{
    buf_addf(out, "<tr><td style=\"" FACT_LABEL "\">%s</td><td dir=\"auto\" style=\"" FACT_VALUE
                  "\">", label);
}

static void fact_end(struct buf *out)
{
    buf_adds(out, "</td></tr>\n");
}

static void add_facts(struct buf *out, const struct dialog_facts *f)
{
    buf_adds(out, "<table class=\"facts\" style=\"border-collapse:collapse;border:0\">\n");
    if (f->started_at) {
        fact_begin(out, "When");
        add_period(out, f->started_at, f->ended_at);
        fact_end(out);
    }
    fact_begin(out, "Length");
    add_count(out, f->turns, "turn");
    if (f->started_at && f->ended_at > f->started_at) {
        buf_adds(out, ", ");
        add_duration(out, f->ended_at - f->started_at);
    }
    fact_end(out);
    if (f->model[0]) {
        fact_begin(out, "Model");
        add_text(out, f->model);
        fact_end(out);
    }
    if (strcmp(f->session_id, f->title) != 0) {
        fact_begin(out, "Session");
        add_text(out, f->session_id);
        fact_end(out);
    }
    buf_adds(out, "</table>\n");
}

bool dialog_html_begin(struct buf *out, const struct dialog_facts *f)
{
    /* The policy keeps a browser from asking anyone for anything, whatever the text holds. */
    buf_adds(out, "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" "
                  "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    add_text(out, f->title);
    buf_addf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1%s>", style_sheet,
             direction_attribute(direction_of(f->title, strlen(f->title))));
    add_text(out, f->title);
    buf_adds(out, "</h1>\n");
    add_facts(out, f);
    return buf_ok(out);
}

/* --- a turn --- */

/* HTML has no place for control characters, and none is meant to be read: they are dropped.
 * NULL when memory is out. */
static char *printable(const char *s, size_t len, size_t *out_len)
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

static bool has_words(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\n", s[i]))
            return true;
    return false;
}

typedef bool writer_fn(struct buf *out, const char *text, size_t len);

static bool add_words(struct buf *out, const char *s, size_t len, writer_fn *write)
{
    size_t n;
    char *clean = printable(s, len, &n);

    if (!clean)
        return false;
    bool good = has_words(clean, n)
              ? write(out, clean, n)
              : buf_adds(out, "<p style=\"color:" COLOR_FAINT "\"><em>(no text)</em></p>\n");
    free(clean);
    return good;
}

static void add_speaker(struct buf *out, const char *name, const char *color)
{
    buf_addf(out, "<h2 style=\"color:%s\">%s&nbsp; <span style=\"" SPEAKER_TIME "\">", color, name);
}

bool dialog_html_turn(struct buf *out, const struct turn *t, int64_t number)
{
    buf_adds(out, RULE "<section>\n");
    add_speaker(out, "User", "#1a56c4");
    buf_addf(out, "#%lld \u00b7 ", (long long)number);
    add_time(out, t->asked_at, 0);
    buf_adds(out, "</span></h2>\n<div class=\"user\">\n");
    if (!add_words(out, t->user, t->user_len, markdown_plain))
        return false;
    buf_adds(out, "</div>\n");

    add_speaker(out, "Assistant", "#137333");
    if (t->model[0]) {
        add_text(out, t->model);
        buf_adds(out, " \u00b7 ");
    }
    add_time(out, t->answered_at, t->asked_at);
    buf_adds(out, "</span></h2>\n<div class=\"answer\">\n");
    if (!add_words(out, t->bot, t->bot_len, markdown_html))
        return false;
    if (t->interrupted)
        buf_adds(out, "<p style=\"color:#b06000\"><em>\u2014 interrupted: this answer was cut off "
                      "before its end</em></p>\n");
    buf_adds(out, "</div>\n</section>\n");
    return buf_ok(out);
}

bool dialog_html_end(struct buf *out)
{
    return buf_adds(out, "</main>\n</body>\n</html>\n");
}
