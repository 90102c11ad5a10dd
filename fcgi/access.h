#ifndef CONFAB_ACCESS_H
#define CONFAB_ACCESS_H
/* Who is asking, and may they? From Authorization: Bearer to a key, its tenant and its limits. */

#include "fcgi/request.h"
#include "lib/chat/quota.h"

/* What a route asks of its callers. */
enum access {
    ACCESS_FREE,        /* nothing */
    ACCESS_REQUEST,     /* a key; counts as a request of it */
    ACCESS_TURN,        /* a key; the handler asks the quota by itself, with access_turn */
};

/* Calls handle, now or later, with r->key and r->tenant set; or answers r itself: 401, 429,
 * 503. */
typedef void access_fn(struct request *r);
void access_check(struct request *r, enum access need, access_fn *handle);

/* "RateLimit" and "RateLimit-Policy" for the reply. NULL: none. */
void access_headers(struct request *r, const struct quota_state *state);

#endif
