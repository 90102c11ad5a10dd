/* Markdown, to be read by any renderer (GFM). Two things must hold: what is not Markdown shows as
 * it was written, and an answer's Markdown cannot swallow what follows it. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/dialog_format.h"
#include "lib/chat/dialog_words.h"
#include "lib/chat/markdown.h"

/* --- text that is no Markdown ------------------------------------------------------------- */

static bool acts_anywhere(char c)
{
    return c != '\0' && strchr("\\`*_[]<>#|~&", c) != NULL;
}

/* "12." or "3)" at the beginning of a line would be a list: escaped is what follows the digits. */
static size_t list_number(const char *s, size_t len)
{
    size_t digits = 0;

    while (digits < len && isdigit((unsigned char)s[digits]))
        digits++;
    return digits > 0 && digits < len && (s[digits] == '.' || s[digits] == ')') ? digits : 0;
}

/* Indents would be code: they become blanks that do not break. Returns how much was taken. */
static size_t add_line_start(struct buf *out, const char *s, size_t len)
{
    size_t n = 0, digits;

    for (; n < len && (s[n] == ' ' || s[n] == '\t'); n++)
        buf_adds(out, s[n] == '\t' ? "\u00a0\u00a0\u00a0\u00a0" : "\u00a0");
    if (n < len && strchr("+-=", s[n]))
        buf_addc(out, '\\');
    digits = list_number(s + n, len - n);
    if (digits > 0) {
        buf_add(out, s + n, digits);
        buf_addc(out, '\\');
    }
    return n + digits;
}

static void add_escaped_line(struct buf *out, const char *s, size_t len)
{
    for (size_t i = add_line_start(out, s, len); i < len; i++) {
        if (acts_anywhere(s[i]))
            buf_addc(out, '\\');
        buf_addc(out, s[i]);
    }
}

/* As a quotation; line breaks stay. */
static void add_quoted(struct buf *out, const char *s, size_t len)
{
    for (size_t at = 0, n; at < len; at += n + 1) {
        const char *newline = memchr(s + at, '\n', len - at);
        bool blank;

        n = (newline ? (size_t)(newline - s) : len) - at;
        blank = !dialog_has_words(s + at, n);
        buf_adds(out, blank ? ">" : "> ");
        if (!blank)
            add_escaped_line(out, s + at, n);
        buf_adds(out, newline && !blank ? "  \n" : "\n");
    }
}

static void add_line(struct buf *out, const char *s)
{
    add_escaped_line(out, s, strlen(s));
}

/* --- an answer ------------------------------------------------------------------------------ */

struct fence { char mark; size_t len; };    /* of an open block of code; len 0 = none */

static size_t indent_of(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && n < 4 && s[n] == ' ')
        n++;
    return n;
}

static void follow_fence(struct fence *open, const char *s, size_t len)
{
    size_t from = indent_of(s, len), n = 0;
    char mark = from < len ? s[from] : '\0';

    if (from > 3 || (mark != '`' && mark != '~'))
        return;
    while (from + n < len && s[from + n] == mark)
        n++;
    if (n < 3)
        return;
    if (open->len == 0) {
        if (mark == '~' || !memchr(s + from + n, '`', len - from - n))
            *open = (struct fence){ mark, n };
    } else if (mark == open->mark && n >= open->len &&
               !dialog_has_words(s + from + n, len - from - n)) {
        open->len = 0;
    }
}

/* A tag that begins a line could run to the end of the document (<!--, <script>); an address in
 * angle brackets does not. */
static bool begins_html(const char *s, size_t len)
{
    size_t from = indent_of(s, len);
    const char *end;

    if (from > 3 || from + 1 >= len || s[from] != '<')
        return false;
    if (!isalpha((unsigned char)s[from + 1]) && !strchr("!?/", s[from + 1]))
        return false;
    end = memchr(s + from, '>', len - from);
    if (!end)
        return true;
    return !memmem(s + from, (size_t)(end - s) - from, "://", 3) &&
           !memchr(s + from, '@', (size_t)(end - s) - from);
}

/* The answer, without tags at the beginning of its lines. Returns the fence open at its end. */
static struct fence add_lines(struct buf *out, const char *s, size_t len)
{
    struct fence open = { '\0', 0 };

    for (size_t at = 0, n; at < len; at += n + 1) {
        const char *newline = memchr(s + at, '\n', len - at);

        n = (newline ? (size_t)(newline - s) : len) - at;
        if (open.len == 0 && begins_html(s + at, n)) {
            size_t indent = indent_of(s + at, n);

            buf_add(out, s + at, indent);
            buf_addc(out, '\\');
            at += indent;
            n -= indent;
        }
        follow_fence(&open, s + at, n);
        buf_add(out, s + at, n);
        buf_addc(out, '\n');
    }
    return open;
}

static void close_fence(struct buf *out, struct fence open)
{
    for (size_t i = 0; i < open.len; i++)
        buf_addc(out, open.mark);
    if (open.len > 0)
        buf_addc(out, '\n');
}

/* A parser has the last word on whether the answer is closed: as it is, or with its code closed;
 * or else it is shown as written. */
static void add_answer(struct buf *out, const char *s, size_t len)
{
    size_t start = out->len;
    struct fence open = add_lines(out, s, len);

    if (!buf_ok(out) || markdown_is_closed(out->data + start, out->len - start))
        return;
    close_fence(out, open);
    if (!buf_ok(out) || markdown_is_closed(out->data + start, out->len - start))
        return;
    out->data[out->len = start] = '\0';
    add_quoted(out, s, len);
}

/* --- the document --------------------------------------------------------------------------- */

static bool begin(struct buf *out, const struct dialog_facts *f)
{
    buf_adds(out, "# ");
    add_line(out, f->title);
    buf_adds(out, "\n\n");
    if (f->started_at) {
        buf_adds(out, "- When: ");
        dialog_add_period(out, f->started_at, f->ended_at);
        buf_addc(out, '\n');
    }
    buf_adds(out, "- Length: ");
    dialog_add_length(out, f);
    buf_addc(out, '\n');
    if (f->model[0]) {
        buf_adds(out, "- Model: ");
        add_line(out, f->model);
        buf_addc(out, '\n');
    }
    if (strcmp(f->title, f->session_id) != 0) {
        buf_adds(out, "- Session: ");
        add_line(out, f->session_id);
        buf_addc(out, '\n');
    }
    return buf_ok(out);
}

static bool add_words(struct buf *out, const char *s, size_t len,
                      void (*write)(struct buf *, const char *, size_t))
{
    size_t n;
    char *clean = dialog_printable(s, len, &n);

    if (!clean)
        return false;
    if (dialog_has_words(clean, n))
        write(out, clean, n);
    else
        buf_adds(out, "*(no text)*\n");
    free(clean);
    return buf_ok(out);
}

static bool turn(struct buf *out, const struct turn *t, int64_t number)
{
    buf_addf(out, "\n---\n\n**User** \u00b7 \\#%" PRId64 " \u00b7 ", number);
    dialog_add_time(out, t->asked_at, 0);
    buf_adds(out, "\n\n");
    if (!add_words(out, t->user, t->user_len, add_quoted))
        return false;
    buf_adds(out, "\n**Assistant** \u00b7 ");
    if (t->model[0]) {
        add_line(out, t->model);
        buf_adds(out, " \u00b7 ");
    }
    dialog_add_time(out, t->answered_at, t->asked_at);
    buf_adds(out, "\n\n");
    if (!add_words(out, t->bot, t->bot_len, add_answer))
        return false;
    if (t->interrupted)
        buf_adds(out, "\n*\u2014 interrupted: this answer was cut off before its end*\n");
    return buf_ok(out);
}

static bool end(struct buf *out)
{
    return buf_adds(out, "\n---\n");
}

static bool broken(struct buf *out, const char *why)
{
    return buf_addf(out, "\n---\n\n**This copy is not complete: %s**\n", why);
}

const struct dialog_format dialog_md = {
    .name = "md",
    .content_type = "text/markdown; charset=utf-8",
    .begin = begin,
    .turn = turn,
    .end = end,
    .broken = broken,
};
