#ifndef CONFAB_REDIS_CALL_H
#define CONFAB_REDIS_CALL_H
/* Inside of redis.c: one call, and its form on the wire. */

#include "lib/io/list.h"
#include "lib/io/redis.h"

enum call_state {
    CALL_WAITING,       /* for a connection */
    CALL_SENT,
    CALL_HELD,          /* answered, but not on enough replicas yet */
    CALL_FAILED,        /* its callback is due */
    CALL_OVER,          /* in its callback */
};

enum { CALL_WHAT_MAX = 32 };

struct redis_call {
    struct list                link;
    enum call_state            state;
    const struct redis_script *script;      /* borrowed; NULL for a plain command */
    bool                       whole_script;/* the server did not know it: send its text */
    int64_t                    deadline;    /* monotonic ms */
    redis_fn                  *fn;          /* NULL: cancelled after it was sent */
    void                      *arg;
    struct redisReply         *reply;       /* owned, while it is held; or NULL */
    const char                *why;         /* static; NULL: what the connection died of */
    size_t                     argc;
    size_t                     len;
    char                       args[];      /* in the protocol's form, without the script's name */
};

/* NULL: out of memory. */
struct redis_call *call_of_command(const struct redis_arg *argv, size_t argc, redis_fn *fn,
                                   void *arg);
struct redis_call *call_of_script(const struct redis_script *s, const struct redis_arg *keys,
                                  size_t nkeys, const struct redis_arg *args, size_t nargs,
                                  redis_fn *fn, void *arg);
void   call_free(struct redis_call *c);
/* The most that call_put writes. */
size_t call_size(const struct redis_call *c);
/* Writes the whole command at `at` and returns where it ended. */
char  *call_put(const struct redis_call *c, char *at);
/* "turn_begin", "GET": for messages. */
void   call_what(const struct redis_call *c, char what[CALL_WHAT_MAX]);

#endif
