#ifndef CONFAB_HTTP_CALL_H
#define CONFAB_HTTP_CALL_H
/* Inside of http.c: one request, as http_transfer.c and http.c share it. */

#include <curl/curl.h>

#include "lib/base/buf.h"
#include "lib/io/http.h"
#include "lib/io/http_frame.h"
#include "lib/io/http_multi.h"
#include "lib/io/list.h"

enum { HTTP_HEADERS_MAX = 64 << 10 };

struct plain;           /* http_plain.h */
struct plain_site;

struct http {
    struct http_multi multi;
    CURLSH           *share;            /* TLS sessions */
    struct list       sites;            /* those asked in the clear; owned */
    size_t            idle;             /* connections to them */
    bool              proxied;          /* the environment names a proxy for such */
    bool              inside;           /* bytes of a plain connection are being handed on */
    struct list       calls;            /* NEW and RUNNING */
    struct list       dead;             /* OVER, to be freed as soon as nobody hands on bytes */
    struct list       due;              /* something is to be done then */
    struct list       ended;            /* the answers of these came to an end, not told yet */
    struct list       spare;            /* calls that ended well, kept for their easy handles */
    size_t            spare_count;
    struct timer      doing;            /* what is due */
    size_t            count;            /* of calls */
    bool              busy, closed;     /* in callbacks outside of libcurl; freed meanwhile */
    struct buf        line;             /* a header line, while it is handed on */
    int64_t           connect_timeout;
    int               max_idle;
    bool              small_buffers;
    char             *ca_file, *user_agent;     /* owned; NULL = none */
};

enum http_state {
    HTTP_NEW,           /* not known to libcurl yet */
    HTTP_RUNNING,
    HTTP_OVER,          /* cancelled, or in its on_done */
};

struct http_call {
    enum http_state      state;
    struct list          link;          /* in calls, dead or spare */
    struct list          due;           /* in due or ended */
    struct http         *http;
    struct plain_site   *site;          /* NULL: libcurl speaks, we do not */
    struct plain        *plain;         /* owned; our connection, once there is one */
    CURL                *easy;          /* owned, as are the next three */
    struct http_headers *headers;       /* until the answer begins; NULL: prepared ones, or none */
    char                *body;          /* the same */
    struct buf           head;          /* the same; only for a plain one */
    size_t               body_len;
    bool                 has_body;      /* be it an empty one */
    bool                 bodyless;      /* the answer to HEAD */
    struct http_handlers on;
    void                *arg;
    struct timer         timer;
    int64_t              first_byte_at, total_at;   /* monotonic ms; 0 = no limit */
    int64_t              idle_timeout, heard_at;
    int                  line_status;   /* of the header block that is coming in */
    int                  status;        /* told; 0 = not yet */
    size_t               header_bytes;
    bool                 sent;
    bool                 again;         /* the connection was dead; a new one is to be taken */
    bool                 fresh;         /* it is being repeated on that */
    bool                 compressed;    /* which is told to those who read the body */
    bool                 paused;        /* by the caller */
    bool                 held;          /* bytes are kept back for that */
    bool                 well;          /* the answer is whole: the handle may be used again */
    enum err_code        problem;       /* why we end the transfer ourselves */
    const char          *problem_text;  /* static */
    char                 curl_says[CURL_ERROR_SIZE];
};

/* Gives libcurl all it needs to know; a handle that was used before keeps what is the same for all
 * of its http. False: out of memory, or the request is not valid. */
bool transfer_prepare(struct http_call *c, const struct http_request *q,
                      const struct http_headers *headers);
/* To be sent once more, on a new connection. */
void transfer_repeat(struct http_call *c);
/* Only to connect; the socket is then ours. -1: no file is left. */
bool transfer_connect(struct http_call *c, const char *url);
int  transfer_take_socket(struct http_call *c);

struct curl_slist *http_headers_list(const struct http_headers *p, bool large);
void http_headers_add(struct buf *out, const struct http_headers *p);

/* What has come: a line with its end, and what is not empty of the body. False: no more is wanted.
 * In both callers are called. */
bool http_answer_line(struct http_call *c, const char *bytes, size_t len);
bool http_answer_body(struct http_call *c, const char *bytes, size_t len);

static inline bool http_is_inside(const struct http *h)
{
    return h->inside || h->multi.inside;
}

/* One that has nothing of a call yet, but perhaps a handle that served before. */
struct http_call *http_call_new(struct http *h);
void http_call_free(struct http_call *c);
/* Nothing comes from it any more. */
void http_call_end(struct http_call *c);
void http_call_free_dead(struct http *h);
/* The request's headers and body are not needed any more. */
void call_forget_request(struct http_call *c);
/* Why the transfer is to end, the first time. Tells nobody yet. */
void http_fail(struct http_call *c, enum err_code problem, const char *text);
/* On a plain connection; to be told by http_ran. */
void call_has_ended(struct http_call *c);
/* Bytes were handed on: what callers have asked for meanwhile is done now. h may be gone. */
void http_ran(struct http *h);
/* arg: an http, of which calls are due. */
void http_do_due(void *arg);

/* Sets the timer for the nearest of the limits that apply now. It is not touched as bytes come:
 * it fires early then, and is set anew. */
void call_watch(struct http_call *c);

#endif
