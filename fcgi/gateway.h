#ifndef CONFAB_GATEWAY_H
#define CONFAB_GATEWAY_H
/* FastCGI <-> struct request: accepts connections, has their requests read (intake.h) and hands
 * them to the routes. What goes out is written by conn.h.
 *
 * Connections are accepted as fast as they come, so that the listen backlog never fills, and
 * started a few at a time per turn of the loop. A child that has more requests than a sibling waits
 * a moment before it takes the next connections.
 *
 * A request that may have to wait for somebody takes a place. Each child brings
 * server.max_requests of them into the pool, and any child may take them: kept connections come
 * where they were, not where there is room. */

#include <stdbool.h>
#include <stddef.h>

#include "fcgi/app.h"
#include "fcgi/request.h"

struct gateway;
typedef void gateway_route_fn(struct request *r);

/* Serves the listening socket fd, which stays the caller's and is kept non-blocking. app is
 * borrowed. Replaces signal handlers, see intake_init. NULL: out of memory or files. */
struct gateway *gateway_new(struct app *app, int listen_fd, gateway_route_fn *route);
/* No new connections; requests still come on those that the web server keeps, until it closes them,
 * which nginx does within a second or two (keepalive_time, keepalive_timeout). on_idle comes
 * once, from the loop, when the last one has ended; what is left after server.drain_timeout is
 * cut. */
void gateway_drain(struct gateway *g, loop_fn *on_idle, void *arg);
/* Only when the handlers' requests have ended, or their memory does not matter any more. */
void gateway_free(struct gateway *g);
/* A place, held until the request ends. False: all are taken; then r has been answered, at once,
 * with 503 pool_busy, and may be gone. */
bool gateway_take_place(struct request *r);
size_t gateway_active(const struct gateway *g);

#endif
