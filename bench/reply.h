#ifndef CONFAB_BENCH_REPLY_H
#define CONFAB_BENCH_REPLY_H
/* Reads HTTP/1.1 replies, strictly and in pieces of any size; does no I/O. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct reply {
    enum { REPLY_HEAD, REPLY_SIZE, REPLY_CHUNK, REPLY_CHUNK_END, REPLY_TRAILER,
           REPLY_LENGTH, REPLY_TO_END, REPLY_WHOLE } state;
    int        status;
    int        retry_after;     /* -1 = none */
    bool       closes;
    size_t     left;            /* of the chunk or the body */
    struct buf line;            /* what is not decoded yet */
    struct buf body;            /* decoded; the reader may consume it */
};

void reply_init(struct reply *r);       /* also for the next one on the same connection */
void reply_close(struct reply *r);
/* False: this is not HTTP. Look at r->state for REPLY_WHOLE. */
bool reply_feed(struct reply *r, const char *bytes, size_t len);
/* The connection has ended. True: that is how this reply ends. */
bool reply_end(struct reply *r);

#endif
