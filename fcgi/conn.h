#ifndef CONFAB_CONN_H
#define CONFAB_CONN_H
/* One FastCGI connection: it carries the response out, without ever blocking, and notices that the
 * client has left. One that the web server keeps then waits for its next request. Only the web
 * server ever closes such a connection: if we did, it might just be sending a request on it, which
 * would fail and which nobody may repeat. */

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
    size_t             count;       /* requests under way */
    size_t             idle;        /* connections without one */
    struct conn       *routed;      /* with its handler just now; NULL if it ended there */
    /* An idle one has something to say: its next request, or its end. */
    void             (*on_speaks)(struct conn *c, void *arg);
    void             (*on_over)(struct request *r, void *arg);  /* r ends, and is freed next */
    void             (*on_fewer)(void *arg);    /* a request has ended, or an idle connection; must
                                                   not free the set */
    void              *arg;
};

enum conn_state {
    CONN_IDLE,      /* there is no request */
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
    bool            keep;           /* the web server wants it back after the response */
    bool            writing;        /* io also waits for room */
    bool            watched;        /* io was added */
    bool            lagging;        /* on_drained is owed */
    size_t          sent;           /* bytes of out that have left */
    size_t          largest;        /* piece since out was empty */
    struct buf      out;            /* framed records that wait */
    struct request *request;        /* owned; NULL while IDLE */
};

/* Idle, and not watched yet. The fd becomes the connection's. NULL: out of memory (fd is still the
 * caller's). */
struct conn *conn_new(struct conns *set, int fd);
/* r was read from this idle connection, which owns it from now on. */
void conn_begin(struct conn *c, struct request *r, unsigned short fcgi_id, bool keep);
/* Frees an idle one whose fd has been closed already. */
void conn_drop(struct conn *c);
/* From now on a client that leaves is noticed. */
void conn_watch(struct conn *c);
/* As if the client had left, or the web server closed an idle one. c may be gone afterwards. */
void conn_cut(struct conn *c);

/* Sends or queues the parts as one piece of the response. `last` ends the request, which is freed
 * once everything is out, at the earliest before this returns; the connection then is idle or freed
 * as well. Calls nobody back.
 * Returns the number of bytes that wait; more than max_unsent of them, beside the largest piece
 * among them, cut a client that is not at its last piece. */
struct conn_part { const void *bytes; size_t len; };
size_t conn_send(struct conn *c, const struct conn_part *parts, size_t count, bool last);
/* on_drained will be called once most of what waits is out. */
void conn_lags(struct conn *c);
bool conn_gone(const struct conn *c);

#endif
