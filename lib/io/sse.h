#ifndef CONFAB_SSE_H
#define CONFAB_SSE_H
/* A reader for server-sent events (WHATWG HTML, 9.2.6) that does no I/O: feed it bytes as
 * they arrive, in pieces of any size, and take whole events out. LF, CRLF and CR end a line;
 * comments and unknown fields are skipped; several data lines are joined with LF; events
 * without data are not dispatched; a leading byte order mark is dropped. At rest, between two
 * events, it holds less than 1 KiB, whatever has passed through it. */

#include <stddef.h>

#include "lib/base/err.h"

struct sse;
/* name is "" when not given. data may hold any byte, and is followed by a '\0'. */
struct sse_event { const char *name; const char *data; size_t len; };

/* max_event: largest event accepted, in bytes of data. NULL when out of memory. */
struct sse *sse_new(size_t max_event);
void        sse_free(struct sse *s);
/* Copies the bytes. ERR_UPSTREAM once an event, or a line of any kind, is larger than
 * max_event, and ever after; what was whole before that can still be taken. */
enum err_code sse_feed(struct sse *s, const char *bytes, size_t len, struct err *e);
/* The input has ended: a last event without its blank line becomes available (the
 * specification drops it; real servers forget that line). */
void sse_end(struct sse *s);
/* The next whole event, or NULL until more is fed. Borrowed: valid until the next call on s. */
const struct sse_event *sse_next(struct sse *s);

#endif
