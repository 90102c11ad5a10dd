#ifndef CONFAB_RESPONSE_H
#define CONFAB_RESPONSE_H
/* Answers a request: a whole reply, or headers once and then events. Every call works also
 * when the client has left: it then does nothing but keep the books.
 *
 * After response_json, response_bytes, response_error or response_end the request is gone. */

#include "fcgi/request.h"
#include "lib/base/buf.h"

/* An extra header, before the reply: "Location", "/api/v1/...". Copied. Control characters
 * in it are dropped. */
void response_header(struct request *r, const char *name, const char *value);
/* body is borrowed; one that has failed becomes a 500. X-Request-Id, CORS and length are added
 * here; a HEAD gets no body. */
void response_json(struct request *r, int status, const struct buf *body);
/* content_type NULL: no body, no type. */
void response_bytes(struct request *r, int status, const char *content_type, const char *bytes,
                    size_t len);
/* Logs it and answers with application/problem+json, Retry-After, WWW-Authenticate as the code
 * asks. Once events have been sent: the stream's last event, `event: error`, instead. Once pieces
 * of anything else have been sent: ends it; what the reader is to be told, the caller has sent. */
void response_error(struct request *r, const struct err *e);

/* An event stream. The status line leaves with the first event or comment. */
void response_stream_begin(struct request *r);
bool response_streaming(const struct request *r);   /* something of it was sent */
/* `id: <id>`, `event: <name>`, `data: <data>` (one line of JSON). False: the reader lags, more
 * than server.max_unsent / 2 wait for it: hold back until on_drained. Who lets max_unsent wait
 * beside the largest event of them is treated as if the client had gone. */
bool response_event(struct request *r, const char *id, const char *name, const char *data,
                    size_t len);
void response_comment(struct request *r);           /* a keep-alive */
void response_end(struct request *r);

/* A reply in pieces, of a length that is not known yet; ended by response_end. content_type stays
 * valid. The status line leaves with the first piece, which may be empty. */
void response_begin(struct request *r, const char *content_type);
/* Returns as response_event does; a piece must be smaller than server.max_unsent / 2. A
 * HEAD gets none. */
bool response_piece(struct request *r, const char *bytes, size_t len);

/* Time spent by us and not by the upstream, for X-Confab-Overhead-Ms. Not told: all of it. */
void response_overhead(struct request *r, int64_t overhead_us);
/* The problem object of an error (RFC 9457), as in the body. */
bool response_problem(struct buf *out, const struct request *r, const struct err *e);

#endif
