#include "lib/io/sse.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"

/* All is in one buffer, in this order:
 *
 *   [events to be taken]*  [the event in the making: head, data so far]  [its unfinished line]
 *   ^ taken                ^ event                                       ^ line
 *
 * An event to be taken is its head, its data, '\0', its name, '\0'. A finished data line is moved
 * over its own field name, so that data so far is always one piece, and each byte is moved once. */
struct sse {
    struct buf       text;
    size_t           taken, event, line;
    size_t           max_event;
    struct buf       name;          /* of the event in the making */
    struct sse_event current;       /* borrowed from text */
    bool             has_data;      /* one data line at least, be it empty */
    bool             after_cr;      /* a LF now belongs to the line before */
    bool             begun;         /* the first line is behind us */
    enum err_code    broken;
};

struct head { size_t len, name_len; };

enum { NAME_MAX_BYTES = 256, FIELD_BYTES = 8 /* "data: " and a little */, REST_BYTES = 512 };

static void set_len(struct buf *b, size_t len)
{
    b->len = len;
    b->data[len] = '\0';
}

static bool begin_event(struct sse *s)
{
    const struct head none = { 0, 0 };

    s->event = s->text.len;
    s->has_data = false;
    buf_clear(&s->name);
    buf_add(&s->text, &none, sizeof none);
    s->line = s->text.len;
    return buf_ok(&s->text);
}

struct sse *sse_new(size_t max_event)
{
    struct sse *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->max_event = max_event;
    buf_init(&s->text, SIZE_MAX / 4);   /* an event is bounded here, a feed by its caller */
    buf_init(&s->name, NAME_MAX_BYTES);
    if (!begin_event(s)) {
        sse_free(s);
        return NULL;
    }
    return s;
}

void sse_free(struct sse *s)
{
    if (!s)
        return;
    buf_close(&s->text);
    buf_close(&s->name);
    free(s);
}

/* Gives the place of events that were taken back. */
static void reclaim(struct sse *s)
{
    if (s->taken) {
        buf_consume(&s->text, s->taken);
        s->event -= s->taken;
        s->line -= s->taken;
        s->taken = 0;
    }
    if (s->text.cap > REST_BYTES && s->text.len < s->text.cap / 4)
        buf_trim(&s->text);
}

static enum err_code fail(struct sse *s, enum err_code code)
{
    s->broken = code;
    return code;
}

static enum err_code dispatch(struct sse *s)
{
    struct head head = { s->line - s->event - sizeof head, s->name.len };

    if (!s->has_data) {
        buf_clear(&s->name);
        return ERR_OK;
    }
    memcpy(s->text.data + s->event, &head, sizeof head);
    buf_addc(&s->text, '\0');
    buf_add(&s->text, s->name.data, s->name.len);
    buf_addc(&s->text, '\0');
    return begin_event(s) ? ERR_OK : fail(s, ERR_INTERNAL);
}

static enum err_code add_data(struct sse *s, const char *value, size_t len)
{
    char *end = s->text.data + s->line;

    if (s->has_data)
        *end++ = '\n';      /* there is room: at least "data" stood here */
    memmove(end, value, len);
    set_len(&s->text, (size_t)(end - s->text.data) + len);
    s->line = s->text.len;
    s->has_data = true;
    if (s->line - s->event - sizeof(struct head) > s->max_event)
        return fail(s, ERR_UPSTREAM);
    return ERR_OK;
}

static enum err_code set_name(struct sse *s, const char *value, size_t len)
{
    buf_clear(&s->name);
    buf_add(&s->name, value, len);
    set_len(&s->text, s->line);
    return buf_ok(&s->name) ? ERR_OK : fail(s, ERR_UPSTREAM);
}

static bool is_field(const char *name, const char *line, size_t len)
{
    return len == strlen(name) && memcmp(name, line, len) == 0;
}

/* The line at s->line is whole. */
static enum err_code take_line(struct sse *s)
{
    const char *line = s->text.data + s->line, *end = s->text.data + s->text.len, *colon, *value;
    size_t name_len;

    if (!s->begun && end - line >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0)
        line += 3;
    s->begun = true;
    if (line == end) {
        set_len(&s->text, s->line);
        return dispatch(s);
    }
    colon = memchr(line, ':', (size_t)(end - line));
    name_len = (size_t)((colon ? colon : end) - line);
    value = colon ? colon + 1 : end;
    if (value < end && *value == ' ')
        value++;
    if (is_field("data", line, name_len))
        return add_data(s, value, (size_t)(end - value));
    if (is_field("event", line, name_len))
        return set_name(s, value, (size_t)(end - value));
    set_len(&s->text, s->line);
    return ERR_OK;
}

static bool line_fits(const struct sse *s, size_t more)
{
    size_t now = s->text.len - s->event - sizeof(struct head);

    return more <= s->max_event + FIELD_BYTES && now + more <= s->max_event + FIELD_BYTES;
}

/* Of either kind; end when there is none. */
static const char *line_end(const char *bytes, const char *end)
{
    const char *lf = memchr(bytes, '\n', (size_t)(end - bytes));
    const char *cr = memchr(bytes, '\r', (size_t)((lf ? lf : end) - bytes));

    return cr ? cr : lf ? lf : end;
}

static enum err_code feed(struct sse *s, const char *bytes, size_t len)
{
    const char *end = bytes + len;

    while (bytes < end && s->broken == ERR_OK) {
        const char *stop;

        bytes += s->after_cr && *bytes == '\n';
        s->after_cr = false;
        stop = line_end(bytes, end);
        if (!line_fits(s, (size_t)(stop - bytes)))
            return fail(s, ERR_UPSTREAM);
        if (!buf_add(&s->text, bytes, (size_t)(stop - bytes)))
            return fail(s, ERR_INTERNAL);
        if (stop == end)
            break;
        s->after_cr = *stop == '\r';
        bytes = stop + 1;
        take_line(s);
    }
    return s->broken;
}

enum err_code sse_feed(struct sse *s, const char *bytes, size_t len, struct err *e)
{
    reclaim(s);
    switch (feed(s, bytes, len)) {
    case ERR_OK:
        return ERR_OK;
    case ERR_UPSTREAM:
        return err_set(e, ERR_UPSTREAM, "an event is larger than %zu bytes", s->max_event);
    default:
        return err_set(e, ERR_INTERNAL, "out of memory");
    }
}

void sse_end(struct sse *s)
{
    if (s->broken == ERR_OK && s->text.len > s->line)
        take_line(s);
    if (s->broken == ERR_OK)
        dispatch(s);
}

const struct sse_event *sse_next(struct sse *s)
{
    struct head head;
    const char *data;

    if (s->taken == s->event) {
        reclaim(s);
        return NULL;
    }
    memcpy(&head, s->text.data + s->taken, sizeof head);
    data = s->text.data + s->taken + sizeof head;
    s->current = (struct sse_event){ data + head.len + 1, data, head.len };
    s->taken += sizeof head + head.len + 1 + head.name_len + 1;
    return &s->current;
}
