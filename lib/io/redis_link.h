#ifndef CONFAB_REDIS_LINK_H
#define CONFAB_REDIS_LINK_H
/* Inside of redis.c: one connection after the other to the same Redis. Of hiredis only the
 * parser is used: its asynchronous layer resolves names in a way that blocks, has no
 * deadlines, and knows no reconnect.
 *
 *   BEGIN -> (SEEK ->) RESOLVE -> CONNECT -> GREET -> UP
 *
 * SEEK asks the sentinels for the master, if there are any. A server that is not the master is
 * left; so is, while UP, one that says so, or of which two sentinels say so when they are asked
 * anew every two seconds: an old master that was cut off for a while does not know it.
 *
 * Whatever fails goes to REST, and from there to BEGIN after a while (50 ms, doubled at each
 * failure, at most 1 s); a connection that has served for a second is tried again at once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"
#include "lib/io/redis_sentinel.h"
#include "lib/io/redis_url.h"
#include "lib/io/resolve.h"

enum link_state { LINK_BEGIN, LINK_SEEK, LINK_RESOLVE, LINK_CONNECT, LINK_GREET, LINK_UP,
                  LINK_REST };
enum { LINK_GREETINGS = 5, LINK_OUT_MAX = 64 << 20 };

struct redisReader;

struct link_handlers {
    void (*on_up)(void *arg);       /* logged in, database selected, able to serve */
    void (*on_down)(void *arg);     /* a try failed, or the connection was lost; link->why tells */
    /* In the order of the commands; borrowed. May close the link. */
    void (*on_reply)(void *arg, const struct redisReply *reply);
};

struct redis_link {
    struct loop                *loop;
    const struct link_handlers *on;
    void                       *arg;
    struct redis_url            url;        /* with sentinels its host is what they said last */
    char                       *name;       /* owned; for the server's list of clients */
    int64_t                     connect_timeout;
    enum link_state             state;
    struct sentinel_ask        *seeking;    /* in SEEK, and now and then in UP */
    unsigned                    asked;      /* sentinels, so far */
    bool                        doubted;    /* one has named another master */
    struct resolve             *lookup;     /* in RESOLVE */
    struct address              address;
    int                         fd;         /* -1 when there is none */
    struct event                readable, writable, flushing;
    struct redisReader         *reader;     /* as long as fd */
    struct redisReply          *reply;      /* the one that on_reply is given, unless it was kept */
    struct buf                  out;        /* written as far as out_sent */
    size_t                      out_sent;
    int                         greeting[LINK_GREETINGS];
    int                         greeted, greetings;
    struct timer                timer;      /* of the try, of the rest, or to the next look */
    int64_t                     rest;       /* ms, of the latest rest */
    int64_t                     up_at;
    unsigned                    tries, seed;
    bool                        busy;       /* in a callback, which may close us */
    bool                        closed;
    bool                        quiet;      /* logs nothing; may be set after link_new */
    char                        why[200];   /* of the latest failure */
    struct log                  log;
};

/* Takes *url over, also on failure (NULL: out of memory). No callback before it returns. */
struct redis_link *link_new(struct loop *l, struct redis_url *url, const struct redis_options *o,
                            const struct link_handlers *on, void *arg);
void link_free(struct redis_link *k);       /* no callback any more; also from a callback */
/* The outcome of a try is to be had soon. */
bool link_is_pending(const struct redis_link *k);
/* In UP: what was added to k->out leaves at the end of this turn of the loop. */
void link_flush(struct redis_link *k);
/* In on_reply: the reply is the caller's from now on. */
struct redisReply *link_keep_reply(struct redis_link *k);
void link_fail(struct redis_link *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
