#ifndef CONFAB_HTTP_H
#define CONFAB_HTTP_H
/* HTTP/1.1 requests on the loop. Only the files http*.c include libcurl.
 *
 * A request ends in exactly one on_done, never before http_send has returned, unless it
 * is cancelled, after which nothing comes any more. Redirects are not followed, proxies only as
 * the environment says, certificates always verified. Compressed bodies are not asked for, and
 * one that comes all the same is an error, told after its status; as are header lines that
 * together pass 64 KiB (ERR_UPSTREAM).
 *
 * A request whose kept connection the server closes before a byte of the answer is sent once
 * more, on a new one, whatever its method: nearly always the server had closed it before it heard
 * the request. Who cannot bear that it did hear it takes connections that are not kept
 * (max_idle 0).
 *
 * In every callback, http_send, http_cancel, http_pause, http_resume and http_free are allowed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/io/loop.h"

struct http;        /* a pool of connections */
struct http_call;

struct http_options {
    int64_t     connect_timeout;    /* ms; a few hundred connect at once, the others wait in line,
                                       which counts for a request's own limits only */
    int         max_idle;           /* connections kept for reuse; 0 = none */
    bool        small_buffers;      /* thousands of slow streams: 1 KiB receive buffers */
    const char *ca_file;            /* "" or NULL = the system's */
    const char *user_agent;
};

struct http *http_new(struct loop *l, const struct http_options *o);    /* NULL: out of memory */
void         http_free(struct http *h);                                 /* cancels what runs */

/* Header lines, made once for many requests. */
struct http_headers;
/* "Name: value", NULL at the end; copied. NULL: out of memory, or a line has a line end in it. */
struct http_headers *http_headers_new(const char *const *lines);
/* Overwrites them. NULL: nothing. */
void http_headers_free(struct http_headers *p);

/* A URL, taken apart once for many requests. NULL: out of memory, or it is none. */
struct http_url;
struct http_url *http_url_new(const char *url);
void http_url_free(struct http_url *u);     /* NULL: nothing */

struct http_request {
    const char        *method;              /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
    const char        *url;                 /* or, when NULL, */
    const struct http_url *parsed;          /* this, borrowed until the call is gone */
    const char *const *headers;             /* as for http_headers_new; or, when NULL, */
    const struct http_headers *prepared;    /* these, borrowed until the call is gone; or none */
    char              *body;                /* malloc'ed; http_send takes it over in any case, and
                                               frees it when the answer begins; NULL = none */
    size_t             body_len;
    int64_t            first_byte_timeout;  /* ms from the call to the end of the answer's
                                               headers; 0 = only total */
    int64_t            idle_timeout;        /* ms without a byte of the body; paused time does
                                               not count; 0 = none */
    int64_t            total_timeout;       /* ms; 0 = none */
};

struct http_handlers {
    /* Once, when the header block is complete (1xx are skipped). May be NULL. */
    void (*on_status)(void *arg, int status);
    /* name is lower case; both borrowed. May be NULL. Comes before on_status. */
    void (*on_header)(void *arg, const char *name, const char *value);
    /* Bytes of the body, borrowed. false ends the call: on_done with ERR_CANCELLED. May be
     * NULL: the body is dropped. */
    bool (*on_body)(void *arg, const char *bytes, size_t len);
    /* status 0: none came. e NULL: the response arrived whole, whatever its status. Otherwise
     * ERR_UPSTREAM (refused, reset, cut, not HTTP), ERR_UPSTREAM_SLOW (a timeout, that of the
     * connection included), ERR_POOL_BUSY (no file is left for a connection), or ERR_INTERNAL
     * (the request could not be made). The call is gone after it. */
    void (*on_done)(void *arg, int status, const struct err *e);
};

/* NULL when memory is out (body is freed); then no callback comes. arg is handed to all. */
struct http_call *http_send(struct http *h, const struct http_request *q,
                            const struct http_handlers *on, void *arg);
/* At once; no callback comes any more. NULL: nothing. */
void http_cancel(struct http_call *c);
/* Backpressure: while paused no on_body comes, and TCP holds the sender. */
void http_pause(struct http_call *c);
void http_resume(struct http_call *c);

#endif
