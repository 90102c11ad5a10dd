/* Header lines, as both libcurl and we ourselves send them. */
#include <stdlib.h>
#include <string.h>

#include "lib/io/http_call.h"

struct http_headers {
    struct curl_slist *lines;   /* the first is for libcurl, and large bodies, only */
};

void http_headers_free(struct http_headers *p)
{
    if (!p)
        return;
    for (struct curl_slist *line = p->lines; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(p->lines);
    free(p);
}

static bool add_line(struct http_headers *p, const char *line)
{
    struct curl_slist *longer = strpbrk(line, "\r\n") ? NULL : curl_slist_append(p->lines, line);

    if (longer)
        p->lines = longer;
    return longer;
}

struct http_headers *http_headers_new(const char *const *lines)
{
    struct http_headers *p = calloc(1, sizeof *p);
    /* No waiting for "100 Continue": many servers never say it. */
    bool ok = p && add_line(p, "Expect:");

    for (; ok && lines && *lines; lines++)
        ok = add_line(p, *lines);
    if (ok)
        return p;
    http_headers_free(p);
    return NULL;
}

/* libcurl looks each of its own headers up among these: the fewer the better. */
struct curl_slist *http_headers_list(const struct http_headers *p, bool large)
{
    return large ? p->lines : p->lines->next;
}

void http_headers_add(struct buf *out, const struct http_headers *p)
{
    for (const struct curl_slist *line = p ? p->lines->next : NULL; line; line = line->next) {
        buf_adds(out, line->data);
        buf_adds(out, "\r\n");
    }
}
