#ifndef CONFAB_CONN_H
#define CONFAB_CONN_H
/* One FastCGI connection after its request was read: it carries the response out, without ever
 * blocking, and notices that the client has left. The request lies in the same allocation
 * as its connection and ends with it. */

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>

#include "fcgi/request.h"

struct conn;

/* All connections of a gateway, so that they can be counted, and cut. */
struct conns {
    struct event_base *base;
    size_t             max_unsent;  /* bytes that may wait for a slow reader */
    struct conn       *first;
    size_t             count;
    struct conn       *routed;      /* with its handler just now; NULL if it ended there */
    void             (*on_fewer)(void *arg);    /* one has ended; must not free the set */
    void              *arg;
};

enum conn_state {
    CONN_OPEN,      /* the handler is at work */
    CONN_ENDED,     /* the response is complete, its tail waits for the reader */
    CONN_LOST,      /* a send failed; the handler is told in the loop's next turn */
    CONN_GONE,      /* the client left, the handler knows and has not ended yet */
};

struct conn {
    struct conns   *set;            /* borrowed */
    struct conn    *prev, *next;    /* in set */
    struct event    io;
    int             fd;             /* owned; -1 once GONE */
    enum conn_state state;
    unsigned short  fcgi_id;
    bool            writing;        /* io also waits for room */
    bool            watched;        /* io was added */
    bool            lagging;        /* on_drained is owed */
    size_t          sent;           /* bytes of out that have left */
    size_t          largest;        /* piece since out was empty */
    struct buf      out;            /* framed records that wait */
    struct request  request;
    char            strings[];      /* the request's texts */
};

/* Room for `strings` bytes of text behind it. The fd becomes the connection's, which is not
 * watched yet. NULL: out of memory (fd is still the caller's). */
struct conn *conn_new(struct conns *set, int fd, unsigned short fcgi_id, size_t strings);
/* From now on a client that leaves is noticed. */
void conn_watch(struct conn *c);
/* As if the client had left. c may be gone afterwards. */
void conn_cut(struct conn *c);

/* Sends or queues the parts as one piece of the response. `last` ends the request; the connection
 * is freed once everything is out, at the earliest before this returns. Calls nobody back.
 * Returns the number of bytes that wait; more than max_unsent of them, beside the largest piece
 * among them, cut a client that is not at its last piece. */
struct conn_part { const void *bytes; size_t len; };
size_t conn_send(struct conn *c, const struct conn_part *parts, size_t count, bool last);
/* on_drained will be called once most of what waits is out. */
void conn_lags(struct conn *c);
bool conn_gone(const struct conn *c);

#endif
