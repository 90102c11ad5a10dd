/* What comes out of a transfer, and goes on to the caller: lines of the head, then the body. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/io/http_call.h"
#include "lib/io/http_plain.h"

static bool give_up(struct http_call *c, enum err_code problem, const char *text)
{
    http_fail(c, problem, text);
    return false;
}

static bool all_sent(const struct http_call *c)
{
    curl_off_t sent = 0;

    if (c->plain)
        return plain_has_sent(c->plain);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    return (size_t)sent >= c->body_len;
}

/* The request is read again only while it could still have to be repeated, which is until the
 * answer begins; but a server may answer before it has heard all. */
static void forget_sent_request(struct http_call *c)
{
    if (all_sent(c))
        call_forget_request(c);
}

static bool head_ends(struct http_call *c)
{
    if (c->line_status < 200)
        return true;
    c->status = c->line_status;
    c->heard_at = clock_ms();
    call_watch(c);
    forget_sent_request(c);
    if (c->on.on_status)
        c->on.on_status(c->arg, c->status);
    return c->state == HTTP_RUNNING;
}

static bool is_identity(const char *value)
{
    return *value == '\0' || strcasecmp(value, "identity") == 0;
}

/* line: "Name: value" without its end, writable. */
static bool take_field(struct http_call *c, char *line)
{
    char *value = strchr(line, ':'), *end;

    if (!value)
        return true;
    *value++ = '\0';
    value += strspn(value, " \t");
    for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
        end[-1] = '\0';
    for (char *at = line; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at += 'a' - 'A';
    if (c->plain && !frame_field(plain_frame(c->plain), line, value))
        return give_up(c, ERR_UPSTREAM, "the answer's length cannot be understood");
    if (strcmp(line, "content-encoding") == 0 && !is_identity(value))
        c->compressed = true;
    if (c->on.on_header)
        c->on.on_header(c->arg, line, value);
    return c->state == HTTP_RUNNING;
}

/* "HTTP/1.1 200 OK"; 0 when it is not one. */
static int status_of(const char *line)
{
    const char *blank = strncmp(line, "HTTP/", 5) == 0 ? strchr(line, ' ') : NULL;

    return blank ? atoi(blank + 1) : 0;
}

bool http_answer_line(struct http_call *c, const char *bytes, size_t len)
{
    struct buf *line = &c->http->line;
    int status;

    if (c->state != HTTP_RUNNING)
        return false;
    c->header_bytes += len;
    if (c->header_bytes > HTTP_HEADERS_MAX)
        return give_up(c, ERR_UPSTREAM, "the headers are larger than 64 KiB");
    if (c->status)
        return true;    /* a trailer */
    while (len && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        len--;
    if (len == 0)
        return head_ends(c);
    buf_clear(line);
    if (!buf_add(line, bytes, len))
        return give_up(c, ERR_INTERNAL, "out of memory");
    status = status_of(line->data);
    if (status)
        c->line_status = status;
    else if (c->line_status >= 200)
        return take_field(c, line->data);
    return true;
}

bool http_answer_body(struct http_call *c, const char *bytes, size_t len)
{
    if (c->state != HTTP_RUNNING)
        return false;
    if (c->compressed)
        return give_up(c, ERR_UPSTREAM, "the answer is compressed, though that was not asked for");
    c->heard_at = clock_ms();
    if (c->body)
        forget_sent_request(c);
    if (c->on.on_body && !c->on.on_body(c->arg, bytes, len))
        return give_up(c, ERR_CANCELLED, "the answer was not wanted any more");
    return c->state == HTTP_RUNNING;
}
