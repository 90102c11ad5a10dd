#include "lib/chat/dialog_html.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/dialog_words.h"
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

/* The date is left out on the day of `before` (0: never). */
static void add_time(struct buf *out, int64_t at, int64_t before)
{
    char machine[CLOCK_RFC3339_SIZE];

    buf_addf(out, "<time datetime=\"%s\">", clock_rfc3339(at, machine));
    dialog_add_time(out, at, before);
    buf_adds(out, "</time>");
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
        dialog_add_period(out, f->started_at, f->ended_at);
        fact_end(out);
    }
    fact_begin(out, "Length");
    dialog_add_length(out, f);
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

typedef bool writer_fn(struct buf *out, const char *text, size_t len);

static bool add_words(struct buf *out, const char *s, size_t len, writer_fn *write)
{
    size_t n;
    char *clean = dialog_printable(s, len, &n);

    if (!clean)
        return false;
    bool good = dialog_has_words(clean, n)
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

bool dialog_html_broken(struct buf *out, const char *why)
{
    buf_adds(out, RULE "<p style=\"color:#b3261e\"><strong>This copy is not complete: ");
    add_text(out, why);
    buf_adds(out, "</strong></p>\n");
    return dialog_html_end(out);
}

bool dialog_html_end(struct buf *out)
{
    return buf_adds(out, "</main>\n</body>\n</html>\n");
}
