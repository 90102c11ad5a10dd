#ifndef CONFAB_REQUEST_H
#define CONFAB_REQUEST_H
/* What a handler sees of a request. It lives from the call of its handler until the handler
 * has ended its response (response.h), exactly once, also when the client has left meanwhile. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/json.h"
#include "lib/base/log.h"

struct apikey;      /* lib/chat/apikey.h */
struct app;         /* what all handlers share, app.h */
struct conn;        /* the FastCGI side, conn.h */

enum method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_PATCH, METHOD_DELETE,
              METHOD_OPTIONS, METHOD_OTHER };

/* The request headers that somebody reads; the others are not kept. */
enum header { HEADER_ACCEPT, HEADER_AUTHORIZATION, HEADER_CONTENT_TYPE, HEADER_IDEMPOTENCY_KEY,
              HEADER_ORIGIN, HEADER_REQUEST_ID, HEADER_ACR_METHOD, HEADER_LAST_EVENT_ID,
              HEADER_COUNT };

/* How far the response is; response.c's. */
enum reply_phase { REPLY_NONE, REPLY_STREAM /* begun, nothing sent */, REPLY_STREAMING };
struct reply {
    struct buf       headers;       /* extra lines, until they are sent */
    enum reply_phase phase;
    const char      *content_type;  /* of what is sent in pieces */
    int64_t          overhead_us;   /* -1 = not told */
    uint64_t         bytes;         /* of bodies and events */
};

enum { REQUEST_SEGMENTS_MAX = 8, REQUEST_ID_SIZE = 65 };
struct segment { const char *s; size_t len; };  /* decoded; may hold any byte, then a '\0' */

struct request {
    struct app    *app;
    struct conn   *conn;
    struct log     log;                     /* req=<id> */
    char           id[REQUEST_ID_SIZE];     /* X-Request-Id */
    int64_t        started_us;              /* monotonic, when it was accepted */
    enum method    method;
    const char    *target;                  /* raw REQUEST_URI */
    char          *space;                   /* strlen(target) + 1 bytes, for the segments */
    struct segment segments[REQUEST_SEGMENTS_MAX];  /* of the path, decoded one by one */
    size_t         segment_count;
    const char    *route;                   /* the pattern that matched, for the log; or NULL */
    bool           routine;                 /* asked every few seconds: no news when it goes well */
    const char    *query;                   /* raw, "" when there is none */
    const char    *headers[HEADER_COUNT];   /* NULL = not sent */
    char          *body;                    /* owned, NULL when there is none */
    size_t         body_len;
    struct apikey *key;                     /* a reference; NULL on a route that needs none */
    bool           placed;                  /* holds a place, gateway_take_place */
    bool           operators;               /* came in on their listener, not the public one */
    const char    *tenant;                  /* the key's; "default" when none was needed */
    /* Told once when the client leaves before the response has ended; NULL = nobody cares. It
     * may end the response from within. Never called from within a response_ call. */
    void         (*on_gone)(void *arg);
    /* Told once when a client that lagged (response_event returned false) can take more. */
    void         (*on_drained)(void *arg);
    void          *arg;                     /* of both */
    struct reply   reply;
    char           texts[];                 /* what target, space and headers point to */
};

/* Fills in what follows from target and headers: id, log prefix, query. */
void request_init(struct request *r);
void request_close(struct request *r);
enum method request_method(const char *name);
const char *request_method_name(enum method m);

/* The path into segments. "/a/b%2Fc" has two: "a" and "b/c". ERR_BAD_REQUEST for a broken escape,
 * ERR_INVALID for the segments "." and "..", ERR_NO_ROUTE for more than any route has. */
enum err_code request_split(struct request *r, struct err *e);

/* The JSON object in the body; checks the content type first (ERR_MEDIA_TYPE, ERR_BAD_JSON,
 * ERR_INVALID when it is no object). The tree is the caller's. */
enum err_code request_json(const struct request *r, json_t **out, struct err *e);
void request_drop_body(struct request *r);
/* The value of a query parameter, decoded and added to out; false when absent or not
 * decodable. */
bool request_query(const struct request *r, const char *name, struct buf *out);
bool request_query_has(const struct request *r, const char *name);
bool request_accepts_event_stream(const struct request *r);
/* A browser that shows what it gets: Accept names text/html. */
bool request_accepts_html(const struct request *r);
/* SHA-256 of the body, for idempotency. */
void request_body_hash(const struct request *r, char out[65]);
/* Idempotency-Key: NULL when absent. ERR_INVALID unless it is 1 to 255 printable ASCII
 * characters. */
enum err_code request_idempotency_key(const struct request *r, const char **out, struct err *e);

#endif
