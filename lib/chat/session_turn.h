#ifndef CONFAB_SESSION_TURN_H
#define CONFAB_SESSION_TURN_H
/* The inside of session.h, for its own files: session.c moves a turn from state to state,
 * session_look.c and session_save.c are the states, session_calls.c speaks to the scripts,
 * sessions.c knows all turns, session_page.c reads what is stored. */

#include <stdint.h>

#include "lib/chat/session.h"

enum { SESSIONS_BUCKETS = 1024 };

struct sessions {
    struct loop           *loop;        /* borrowed, like the next three */
    struct redis          *redis;
    struct redis          *wake;        /* NULL: nobody is told, all look by themselves */
    const struct settings *settings;
    struct key             channel;     /* where this process is woken */
    uint64_t               last_ticket;
    struct session_turn   *turns[SESSIONS_BUCKETS];     /* all there are, by ticket; owned */
    struct session_read   *reads;                       /* owned */
};

/* See the drawing in session.c. */
enum turn_state {
    TURN_LOOK, TURN_LOOK_TWICE, TURN_WAIT, TURN_HELD, TURN_REPLAYED, TURN_SAVE, TURN_SAVE_AGAIN,
    TURN_UNSAVED, TURN_RELEASE, TURN_RELEASE_AGAIN, TURN_GONE
};

/* Thousands of these wait and stream at once: what is long comes and goes, or stands at
 * the end in the room it needs. Keys are put together when they are used. */
struct session_turn {
    struct sessions     *sessions;      /* borrowed */
    struct session_turn *next;          /* in its bucket */
    enum turn_state      state;
    struct timer         timer;         /* what for depends on the state */
    struct redis_call   *call;          /* under way, or NULL */
    session_begun_fn    *on_begun;      /* NULL once called, or when nobody listens any more */
    session_saved_fn    *on_saved;      /* the same */
    void                *arg;
    uint64_t             ticket;        /* names this turn in this process, for the scripts */
    int64_t              deadline;      /* of the wait, of all saves, of all releases; clock_ms */
    int64_t              pause;         /* ms until the next look or try */
    int64_t              left;          /* ms of the lease that another holds, when last seen */
    int64_t              look_by;       /* when a look has to be answered; clock_ms */
    bool                 repeated;      /* this look, as its connection was lost */
    int64_t              fence, number; /* from HELD on */
    void                *window;        /* owned: what session_begun borrows; or NULL */
    char                *entry;         /* owned, while it is being saved */
    size_t               entry_len;
    char                *title;         /* owned, while a first turn is being saved; or NULL */
    char                *idem;          /* inside text: name of the record, "" without a key */
    char                *says;          /* inside text: hash of session and body, "" likewise */
    char                *id;            /* inside text */
    size_t               id_len;
    char                 text[];        /* the tenant, then the three above */
};

/* sessions.c */
void sessions_add(struct sessions *s, struct session_turn *t);      /* gives it its ticket */
void sessions_remove(struct sessions *s, struct session_turn *t);

/* session.c */

/* The only place that changes the state. t may be gone when this returns, so a call to it is
 * the last thing its caller does to t. */
void session_turn_enter(struct session_turn *t, enum turn_state next);
/* The lock may be free, or forgotten: a turn that waits looks, one that holds it says so again, or
 * saves what it has. */
void session_turn_wake(struct session_turn *t);
/* No call under way, no timer. */
void session_turn_quiet(struct session_turn *t);
/* The timer, after a pause that grows from try to try; t->pause = 0 begins anew. */
void session_turn_try_again(struct session_turn *t);
/* Tells whoever listens; t has become our own affair before. may_hold: the lock or a place in the
 * queue may be ours, and is given back. */
void session_turn_fail(struct session_turn *t, const struct err *e, bool may_hold);
void session_turn_give_up(struct session_turn *t);
/* Without a word to anybody. */
void session_turn_free(struct session_turn *t);
/* Does the script's reply begin with this word? */
bool session_answers(const struct redisReply *reply, const char *word);

/* session_look.c, session_save.c: what is done in a state, and what its timer does. */
void session_turn_look(struct session_turn *t);
void session_turn_wait(struct session_turn *t);
void session_turn_waited(struct session_turn *t);
void session_turn_hold(struct session_turn *t);
void session_turn_renew(struct session_turn *t);
void session_turn_save(struct session_turn *t);
void session_turn_unsaved(struct session_turn *t);

/* session_calls.c: one script each. NULL: out of memory. The replies are told in lua/. */
struct redis_call *session_call_begin(struct session_turn *t, int64_t timeout, redis_fn *fn);
struct redis_call *session_call_renew(struct session_turn *t, redis_fn *fn);
struct redis_call *session_call_save(struct session_turn *t, redis_fn *fn);
struct redis_call *session_call_release(struct session_turn *t, redis_fn *fn);
int64_t session_lock_life(const struct settings *s);    /* of the lock's key, ms */

/* session_page.c */
void session_reads_free(struct sessions *s);

#endif
