#include "bench/reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_MAX_BYTES = 64 << 10, BODY_MAX = 8 << 20 };

void reply_init(struct reply *r)
{
    buf_close(&r->line);
    buf_close(&r->body);
    *r = (struct reply){ .retry_after = -1 };
    buf_init(&r->line, LINE_MAX_BYTES);
    buf_init(&r->body, BODY_MAX);
}

void reply_close(struct reply *r)
{
    buf_close(&r->line);
    buf_close(&r->body);
}

static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + 1 + strspn(line + len + 1, " ");
}

/* One line of the head, without its end. The empty one decides what follows. */
static bool head_line(struct reply *r, const char *line)
{
    const char *v;

    if (!r->status) {
        r->status = strncmp(line, "HTTP/1.1 ", 9) == 0 ? atoi(line + 9) : 0;
        r->left = (size_t)-1;
        return r->status >= 200;
    }
    if (!*line) {
        if (r->state == REPLY_HEAD)
            r->state = r->left == (size_t)-1 ? REPLY_TO_END
                     : r->left == 0 ? REPLY_WHOLE : REPLY_LENGTH;
        else
            r->state = REPLY_SIZE;
        return true;
    }
    if ((v = value_of(line, "Content-Length")))
        r->left = strtoul(v, NULL, 10);
    else if ((v = value_of(line, "Retry-After")))
        r->retry_after = atoi(v);
    else if ((v = value_of(line, "Connection")) && strcasecmp(v, "close") == 0)
        r->closes = true;
    else if ((v = value_of(line, "Transfer-Encoding")) && strcasecmp(v, "chunked") == 0)
        r->left = (size_t)-2;
    return true;
}

/* Takes the line that ends in these bytes. Returns how many were taken; r->line is whole then
 * when *whole. */
static size_t take_line(struct reply *r, const char *bytes, size_t len, bool *whole)
{
    const char *end = memchr(bytes, '\n', len);
    size_t n = end ? (size_t)(end - bytes) + 1 : len;

    *whole = end != NULL;
    buf_add(&r->line, bytes, n);
    if (end) {
        r->line.len -= r->line.len > 1 && r->line.data[r->line.len - 2] == '\r' ? 2 : 1;
        r->line.data[r->line.len] = '\0';
    }
    return n;
}

static bool on_line(struct reply *r)
{
    char *end;

    switch (r->state) {
    case REPLY_HEAD:
        if (r->line.len == 0 && r->left == (size_t)-2)
            r->state = REPLY_SIZE;
        return head_line(r, r->line.data);
    case REPLY_SIZE:
        r->left = strtoul(r->line.data, &end, 16);
        r->state = r->left > 0 ? REPLY_CHUNK : REPLY_TRAILER;
        return end != r->line.data && (*end == '\0' || *end == ';');
    case REPLY_CHUNK_END:
        r->state = REPLY_SIZE;
        return r->line.len == 0;
    default:
        if (r->line.len == 0)
            r->state = REPLY_WHOLE;
        return true;
    }
}

bool reply_feed(struct reply *r, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t n = len;
        bool whole = false;

        if (r->state == REPLY_WHOLE)
            return false;               /* more than was promised */
        if (r->state == REPLY_CHUNK || r->state == REPLY_LENGTH || r->state == REPLY_TO_END) {
            if (r->state != REPLY_TO_END && n > r->left)
                n = r->left;
            buf_add(&r->body, bytes, n);
            r->left -= r->state == REPLY_TO_END ? 0 : n;
            if (r->left == 0)
                r->state = r->state == REPLY_CHUNK ? REPLY_CHUNK_END : REPLY_WHOLE;
        } else {
            n = take_line(r, bytes, len, &whole);
            if (whole && !on_line(r))
                return false;
            if (whole)
                buf_clear(&r->line);
        }
        bytes += n;
        len -= n;
        if (!buf_ok(&r->line) || !buf_ok(&r->body))
            return false;
    }
    return true;
}

bool reply_end(struct reply *r)
{
    if (r->state == REPLY_TO_END)
        r->state = REPLY_WHOLE;
    return r->state == REPLY_WHOLE;
}
