#ifndef CONFAB_GATEWAY_H
#define CONFAB_GATEWAY_H
/* FastCGI <-> struct request. libfcgi parses what comes in; what goes out is written here, without ever
 * blocking. The only file that includes libfcgi.
 *
 * Connections are accepted as fast as they come and started a few at a time per turn of the loop. Beyond
 * server.max_requests a request is answered at once with 503 pool_busy. */

#include <stddef.h>

#include "fcgi/app.h"
#include "fcgi/request.h"

struct gateway;
/* Serves the listening socket fd. route is called with each request; app, loop and settings are borrowed. */
struct gateway *gateway_new(struct app *app, int listen_fd, void (*route)(struct request *r));
/* No new requests; on_idle comes once, when the last one has ended (or after server.drain_timeout, when
 * the rest were cut). */
void gateway_drain(struct gateway *g, loop_fn *on_idle, void *arg);
void gateway_free(struct gateway *g);
size_t gateway_active(const struct gateway *g);

/* For response.c. Sends or queues; the bytes are copied only when they have to wait. `last` ends the request
 * (FCGI_END_REQUEST) and frees it once everything is out. Returns the number of bytes that wait. */
struct gateway_part { const void *bytes; size_t len; };
size_t conn_send(struct conn *c, const struct gateway_part *parts, size_t count, bool last);
bool   conn_gone(const struct conn *c);

#endif
