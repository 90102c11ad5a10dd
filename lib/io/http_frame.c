#include "lib/io/http_frame.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void frame_begin(struct http_frame *f, const char *line)
{
    f->chunked = false;
    f->closes = strncmp(line, "HTTP/1.1 ", 9) != 0;
    f->length = -1;
}

/* These digits and nothing else, so few that they cannot be too large. -1: they are not that. */
static int64_t number(const char *s, size_t len, int base)
{
    const char *digits = base == 10 ? "0123456789" : "0123456789abcdefABCDEF";

    return len > 0 && len < 15 && strspn(s, digits) >= len ? strtoll(s, NULL, base) : -1;
}

bool frame_field(struct http_frame *f, const char *name, const char *value)
{
    int64_t length;

    if (strcmp(name, "connection") == 0 && strcasestr(value, "close"))
        f->closes = true;
    if (strcmp(name, "transfer-encoding") == 0) {
        if (f->chunked || strcasecmp(value, "chunked") != 0)
            return false;
        f->chunked = true;
    }
    if (strcmp(name, "content-length") == 0) {
        length = number(value, strlen(value), 10);
        if (length < 0 || (f->length >= 0 && f->length != length))
            return false;
        f->length = length;
    }
    return true;
}

void frame_head_ends(struct http_frame *f, int status)
{
    if (status < 200)
        return;         /* the head of the answer is still to come */
    if (f->chunked && f->length >= 0)
        f->closes = true;       /* somebody on the way may see it otherwise */
    if (f->bodyless || status == 204 || status == 304 || (!f->chunked && f->length == 0)) {
        f->phase = FRAME_OVER;
    } else if (f->chunked) {
        f->phase = FRAME_CHUNK_SIZE;
    } else if (f->length > 0) {
        f->phase = FRAME_BODY;
        f->left = f->length;
    } else {
        f->phase = FRAME_UNTIL_CLOSE;
        f->closes = true;
    }
}

/* "1a2b", and whatever a server has to say about it. */
static bool chunk_begins(struct http_frame *f, const char *line)
{
    size_t digits = strcspn(line, "; \t\r\n");

    f->left = number(line, digits, 16);
    f->phase = f->left > 0 ? FRAME_CHUNK : FRAME_TRAILER;
    return f->left >= 0;
}

bool frame_line(struct http_frame *f, const char *line, size_t len)
{
    bool empty = len == 1 || (len == 2 && *line == '\r');

    switch (f->phase) {
    case FRAME_CHUNK_SIZE:
        return chunk_begins(f, line);
    case FRAME_CHUNK_END:
        f->phase = FRAME_CHUNK_SIZE;
        return empty;
    default:
        if (empty)
            f->phase = FRAME_OVER;
        return true;
    }
}

bool frame_in_body(const struct http_frame *f)
{
    return f->phase == FRAME_BODY || f->phase == FRAME_CHUNK || f->phase == FRAME_UNTIL_CLOSE;
}

size_t frame_part(const struct http_frame *f, size_t len)
{
    return f->phase == FRAME_UNTIL_CLOSE || (int64_t)len < f->left ? len : (size_t)f->left;
}

void frame_passed(struct http_frame *f, size_t part)
{
    if (f->phase == FRAME_UNTIL_CLOSE)
        return;
    f->left -= (int64_t)part;
    if (f->left == 0)
        f->phase = f->phase == FRAME_CHUNK ? FRAME_CHUNK_END : FRAME_OVER;
}
