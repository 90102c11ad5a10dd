#ifndef CONFAB_REDIS_INSIDE_H
#define CONFAB_REDIS_INSIDE_H
/* Inside of redis.c, and what redis_kept.c sees of it. A call is in one of four lists:
 *
 *   waiting   nothing of it was written yet: a connection is being made, or replicas are asked
 *   sent      written; its answer is the next one after those of the calls before it
 *   held      answered, but not kept by enough replicas yet
 *   failed    its callback is due in the loop's next turn */

#include "lib/io/list.h"
#include "lib/io/redis.h"
#include "lib/io/redis_call.h"
#include "lib/io/redis_link.h"

struct redis {
    struct redis_link *link;                /* owned */
    int64_t            timeout;
    struct list        waiting, sent, held, failed;
    struct timer       deadline;
    int64_t            next_look;           /* when the deadline timer fires, if it runs */
    struct timer       telling;             /* failed calls and the state, outside of all else */
    redis_state_fn    *state_fn;
    void              *state_arg;
    loop_fn           *up_fn;               /* of the one that redis_eval_kept goes to */
    void              *up_arg;
    bool               told_up;
    bool               busy, closed;        /* telling, and freed meanwhile */
    char              *channel;             /* owned; NULL: not a subscriber */
    redis_message_fn  *message_fn;
    void              *message_arg;
    struct timer       pulse;               /* of a subscriber */
    bool               heard;               /* anything, since the last pulse */
    int64_t            heard_at;            /* the latest answer to a call */
    struct redis      *kept;                /* owned: where redis_eval_kept goes; NULL: here */
    int64_t            replicas;            /* of such a one: that must have what a script wrote */
    int64_t            replica_timeout;
    struct redis_call *asking;              /* of such a one: the WAIT under way, or NULL */
};

/* Sends it, unless too much waits to be sent already; then it will fail. */
void redis_send(struct redis *r, struct redis_call *c);
/* Sends all that wait. */
void redis_send_waiting(struct redis *r);
/* Its callback comes with ERR_STORE, and these words. NULL: those of the lost connection. */
void redis_call_will_fail(struct redis *r, struct redis_call *c, const char *why);
/* Frees what is left in the list, without a callback. */
void redis_free_calls(struct list *calls);

/* redis_kept.c */

/* Asks the replicas whether they have what was sent so far. What is called from now on waits. */
void kept_ask(struct redis *r);
/* The script was answered; its callback comes when the replicas have it. */
void kept_hold(struct redis *r, struct redis_call *c);
/* The connection was lost: nobody is asked any more. What was held will fail. */
void kept_forget(struct redis *r);

#endif
