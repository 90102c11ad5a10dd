#include "fcgi/cors.h"

#include <string.h>

#include "fcgi/app.h"
#include "fcgi/response.h"

bool cors_listed(const char *origins, const char *origin)
{
    size_t want = strlen(origin);

    while (*origins) {
        size_t len;

        origins += strspn(origins, " ,\t");
        len = strcspn(origins, " ,\t");
        if (len == 1 && *origins == '*')
            return true;
        if (len > 0 && len == want && memcmp(origins, origin, len) == 0)
            return true;
        origins += len;
    }
    return false;
}

static bool applies(const struct request *r)
{
    const char *origin = r->headers[HEADER_ORIGIN];

    return origin && cors_listed(r->app->settings.server.cors_origins, origin);
}

void cors_headers(struct buf *out, const struct request *r)
{
    const char *origins = r->app->settings.server.cors_origins;

    if (!*origins)
        return;
    /* Caches must not hand one origin the reply that was made for another. */
    buf_adds(out, "Vary: Origin\r\n");
    if (applies(r))
        buf_addf(out,
                 "Access-Control-Allow-Origin: %s\r\n"
                 "Access-Control-Expose-Headers: X-Request-Id, X-Session-Id, Location, "
                 "RateLimit, RateLimit-Policy, Retry-After, X-Confab-Overhead-Ms\r\n",
                 r->headers[HEADER_ORIGIN]);
}

void cors_preflight_headers(struct request *r, const char *methods)
{
    if (!applies(r))
        return;
    response_header(r, "Access-Control-Allow-Methods", methods);
    response_header(r, "Access-Control-Allow-Headers",
                    "Accept, Authorization, Content-Type, Idempotency-Key, Last-Event-ID, "
                    "X-Request-Id");
    response_header(r, "Access-Control-Max-Age", "600");
}
