#ifndef CONFAB_RESOLVE_H
#define CONFAB_RESOLVE_H
/* A host's name to an address, on the loop: /etc/hosts, then the name servers of
 * /etc/resolv.conf, both read anew each time. There is no deadline: the caller cancels. */

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/io/loop.h"

struct address {
    union {
        struct sockaddr         any;
        struct sockaddr_in      v4;
        struct sockaddr_in6     v6;
        struct sockaddr_storage room;
    };
    socklen_t len;
};

/* True when host is an address in digits: then no name server is needed. */
bool address_from_digits(const char *host, int port, struct address *out);

struct resolve;
/* Exactly one of found and problem is NULL; both are borrowed. */
typedef void resolve_fn(void *arg, const struct address *found, const char *problem);
/* Of several addresses the one at turn (modulo their number) is taken, so that a caller who
 * counts its tries comes by all of them. Calls back once, never before it has returned. NULL: out
 * of memory, and no callback comes. */
struct resolve *resolve_begin(struct loop *l, const char *host, int port, unsigned turn,
                              resolve_fn *fn, void *arg);
void resolve_cancel(struct resolve *q);     /* no callback comes. NULL: nothing */

#endif
