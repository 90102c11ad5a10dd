#ifndef CONFAB_HTTP_PLAIN_H
#define CONFAB_HTTP_PLAIN_H
/* Inside of http.c: HTTP/1.1 on a connection in the clear, which libcurl has opened. libcurl could
 * speak it as well, but takes three times the CPU for that, and holds 9 KiB for each that waits. */

#include "lib/io/http_call.h"

/* Who is asked in the clear. */
struct plain_site {
    struct list link;           /* in http's sites */
    struct list idle;           /* connections; the latest is the last */
    char        url[];          /* "http://host:port/" */
};

/* Who serves this URL, and its path in *path. NULL: that is libcurl's, for TLS, or for anything
 * out of the ordinary (or memory is out). */
struct plain_site *plain_site(struct http *h, const char *url, const char **path);
void plain_free_sites(struct http *h);

/* The head of c's request; false: out of memory. */
bool plain_prepare(struct http_call *c, const struct http_request *q, const char *path,
                   const struct http_headers *headers);
/* On an idle connection; false: there is none. */
bool plain_reuse(struct http_call *c);
/* On this one, just opened; it becomes ours, also when this fails for want of memory. */
bool plain_begin(struct http_call *c, int fd);
/* c has been paused, and is not any more. */
void plain_continue(struct http_call *c);
/* The answer is whole: its connection may serve another. */
void plain_release(struct http_call *c);
void plain_close(struct plain *p);      /* NULL: nothing */
void plain_close_idle(struct plain_site *s);
/* Nothing more of the request will be sent. */
bool plain_has_sent(const struct plain *p);
struct http_frame *plain_frame(struct plain *p);

#endif
