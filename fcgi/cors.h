#ifndef CONFAB_CORS_H
#define CONFAB_CORS_H
/* Which web origins may call us from a browser: the setting CORS_ORIGINS. */

#include "fcgi/request.h"
#include "lib/base/buf.h"

/* origin is one of a list separated by spaces or commas; "*" lists any. */
bool cors_listed(const char *origins, const char *origin);
/* The headers every reply to a listed origin needs; nothing without the setting. */
void cors_headers(struct buf *out, const struct request *r);
/* Those of the answer to a preflight, on top. methods: "GET, HEAD". */
void cors_preflight_headers(struct request *r, const char *methods);

#endif
