#ifndef CONFAB_HTTP_CALL_H
#define CONFAB_HTTP_CALL_H
/* Inside of http.c: one request, as http_transfer.c and http.c share it. */

#include <curl/curl.h>

#include "lib/base/buf.h"
#include "lib/io/http.h"
#include "lib/io/http_multi.h"
#include "lib/io/list.h"

struct http {
    struct http_multi multi;
    CURLSH           *share;            /* TLS sessions */
    struct list       calls;            /* NEW and RUNNING */
    struct list       dead;             /* OVER, to be freed as soon as libcurl is not running */
    struct list       due;              /* something is to be done outside of libcurl */
    struct list       waiting;          /* NEW, until fewer connect; by the same link */
    size_t            connecting;       /* calls */
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
    struct list          due;
    struct http         *http;
    CURL                *easy;          /* owned, as are the next two */
    struct http_headers *headers;       /* until the answer begins; NULL: prepared ones, or none */
    char                *body;          /* the same */
    size_t               body_len;
    struct http_handlers on;
    void                *arg;
    struct timer         timer;
    int64_t              first_byte_at, total_at;   /* monotonic ms; 0 = no limit */
    int64_t              idle_timeout, heard_at;
    int                  line_status;   /* of the header block that is coming in */
    int                  status;        /* told; 0 = not yet */
    size_t               header_bytes;
    bool                 connecting;    /* counted there */
    bool                 sent;
    bool                 again;         /* the connection was dead; a new one is to be taken */
    bool                 compressed;    /* which is told to those who read the body */
    bool                 paused;        /* by the caller */
    bool                 held;          /* libcurl keeps bytes back for that */
    bool                 well;          /* the answer is whole: the handle may be used again */
    enum err_code        problem;       /* why we end the transfer ourselves */
    const char          *problem_text;  /* static */
    char                 curl_says[CURL_ERROR_SIZE];
};

/* Gives libcurl all it needs to know; a handle that was used before keeps what is the same for all
 * of its http. False: out of memory, or the request is not valid. */
bool transfer_prepare(struct http_call *c, const struct http_request *q);
/* To be sent once more, on a new connection. */
void transfer_repeat(struct http_call *c);
/* Its connection, a new or a kept one, is there. */
void call_connected(struct http_call *c);
/* The request's headers and body are not needed any more. */
void transfer_forget_request(struct http_call *c);

/* Sets the timer for the nearest of the limits that apply now. It is not touched as bytes come:
 * it fires early then, and is set anew. */
void call_watch(struct http_call *c);

#endif
