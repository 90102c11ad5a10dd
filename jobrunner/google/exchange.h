#ifndef CONFAB_GOOGLE_EXCHANGE_H
#define CONFAB_GOOGLE_EXCHANGE_H
/* One HTTP request to Google and its whole, bounded answer. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/io/http.h"

struct exchange_reply {         /* borrowed during the callback */
    const struct err *fault;    /* no whole answer came; else NULL */
    int         status;         /* 0: none came */
    const char *body; size_t body_len;
    int         retry_after;    /* seconds, 0 = not said */
    const char *location, *range;   /* headers, or "" */
};

struct exchange;
typedef void exchange_fn(void *arg, const struct exchange_reply *r);
/* Takes over q->body as http_send does. NULL when memory is out: then no callback comes. */
struct exchange *exchange_send(struct http *h, const struct http_request *q, exchange_fn *fn,
                               void *arg);
void exchange_cancel(struct exchange *x);   /* no callback comes any more. NULL: nothing */

/* The seconds of a Retry-After header, in either form; 0 when it says nothing. now: since 1970. */
int exchange_retry_after(const char *value, int64_t now);

#endif
