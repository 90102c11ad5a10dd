#ifndef CONFAB_QUOTA_GRANT_H
#define CONFAB_QUOTA_GRANT_H
/* The inside of quota.h: quota.c keeps the books of this process, quota_grant.c follows one
 * request. */

#include "lib/chat/quota.h"
#include "lib/io/list.h"

enum {
    QUOTA_MEMBER_SIZE = 96,
    QUOTA_RENEW_MAX = 200,          /* turns that one script renews */
};

struct quota {
    struct redis          *redis;       /* borrowed */
    const struct settings *settings;    /* borrowed */
    struct timer           tick;
    int64_t                renew_at;    /* clock_ms */
    struct list            books;
    char                   me[17];      /* this process */
    uint64_t               last_ticket;
    size_t                 under_way;   /* scripts that were not answered yet */
    loop_fn               *on_stopped;  /* NULL: goes on */
    void                  *arg;
};

/* Of one key, while it has anything open here. */
struct quota_book {
    struct list        link;
    struct quota      *quota;           /* borrowed */
    struct apikey     *key;             /* a reference */
    int64_t            requests, turns; /* not written down yet, like the next */
    struct quota_spent spent;
    struct list        grants;
};

/*   ASKING -> HELD -> ENDING -> gone       a turn, granted, over
 *   ASKING -> OVER -> gone                 refused, failed, or no turn
 *   ASKING -> ABANDONED -> ENDING, gone    ended before it was answered
 *   FREE -> gone                           a key without limits */
enum grant_state { GRANT_FREE, GRANT_ASKING, GRANT_ABANDONED, GRANT_HELD, GRANT_ENDING, GRANT_OVER };

struct quota_grant {
    struct list        link;            /* in its book */
    struct quota_book *book;            /* borrowed */
    enum grant_state   state;
    enum quota_kind    kind;
    struct redis_call *call;
    quota_fn          *fn;
    void              *arg;
    struct quota_spent spent;
    int                tries;           /* to end */
    char               member[QUOTA_MEMBER_SIZE];
};

/* quota.c: a script that leaves, and one that was answered. NULL: out of memory. */
struct redis_call *quota_send(struct quota *q, const struct redis_script *script,
                              const struct redis_arg *keys, size_t nkeys,
                              const struct redis_arg *args, size_t nargs, redis_fn *fn, void *arg);
void quota_answered(struct quota *q);
/* quota_grant.c: an end whose script failed is sent once more, or given up. */
void quota_grant_end_again(struct quota_grant *g);
void quota_grant_free(struct quota_grant *g);

#endif
