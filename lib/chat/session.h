#ifndef CONFAB_SESSION_H
#define CONFAB_SESSION_H
/* A session's turns in Redis: lock it, load the window, append the pair.
 *
 * One turn of a session is made at a time. Its lock is a lease, taken in the same script that
 * reads the window (one round trip), renewed here while the turn lives, and given up in the
 * script that saves (the second round trip). Every lock raises the session's fence number; a
 * save under an older number is refused, so a stalled child that wakes up cannot damage what
 * came after it. A lock that nobody waits for is kept in Redis' memory alone, as it need not be
 * synced for anybody: after a restart or a failover its holder takes it again, or, if another was
 * quicker, its save is refused.
 *
 * Who finds the lock taken waits in a queue kept in Redis, first come first served, is woken
 * over pub/sub, and looks by itself every half lease in case the owner or the message was lost.
 *
 * Idempotency: a turn begun with a key is found again by every later one with the same key,
 * tenant and route: while it runs they wait for it, once it is saved they get its entry
 * (replay), when it failed or died one of them becomes the turn. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/settings.h"
#include "lib/chat/keys.h"
#include "lib/chat/turn.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

struct sessions;        /* this process's access to all sessions */
struct session_turn;    /* a turn in the making; holds the lock once begun */

/* redis: for commands. wake: a connection of its own for the wake-up channel, whose
 * redis_on_state is taken; NULL for a process that only reads. All are borrowed and outlive
 * the result. NULL: out of memory. */
struct sessions *sessions_new(struct loop *l, struct redis *redis, struct redis *wake,
                              const struct settings *s);
/* Ends what is under way without a callback and without a word to Redis: what it held is
 * free again when its lease ends. wake is to be freed before the loop turns again. */
void sessions_free(struct sessions *s);

struct session_request {
    const char *tenant;
    const char *id;  size_t id_len;     /* checked with session_id_check */
    const char *idempotency_key;        /* NULL: none. Any bytes but '\0' */
    const char *body_hash;              /* 64 hex digits, with a key only */
};

struct session_part { const char *s; size_t len; };
struct session_begun {
    int64_t number;                     /* of this turn in its session, from 1 */
    const char *prompt;                 /* its prompt's name, "" = default */
    struct session_part summary;        /* of the turns up to number summary_turns; may be empty */
    int64_t summary_turns;
    const struct session_part *window;  /* messages of the latest turns, oldest first, as
                                           turn_messages gives them */
    size_t window_count;
    const char *replay; size_t replay_len;  /* an entry: this request was answered before, and
                                           nothing is locked; to be dropped. Else NULL */
};

/* begun borrows from the turn until session_forget_window, session_save or session_drop. On
 * error the turn is gone: ERR_LOCKED (busy = reject, or the wait was too long; retry_after is
 * set), ERR_KEY_REUSED, ERR_STORE. Exactly one of begun and e is NULL. */
typedef void session_begun_fn(void *arg, const struct session_begun *begun, const struct err *e);
/* Never calls back before it has returned. NULL: out of memory, no callback. */
struct session_turn *session_begin(struct sessions *s, const struct session_request *q,
                                   session_begun_fn *fn, void *arg);
/* The window's memory is not needed any more (the model was asked). */
void session_forget_window(struct session_turn *t);

/* Appends the pair, records it under the idempotency key, gives the lock up and wakes the
 * next, in one script. Repeats itself while the store is away, up to session.save_timeout; a
 * repeat after a lost reply saves nothing twice. What is given is copied; turn->id does not
 * count, the fence takes its place. In the callback t is gone. e: ERR_NOT_SAVED (lease lost,
 * store away too long), ERR_SESSION_GONE (deleted meanwhile). */
typedef void session_saved_fn(void *arg, const struct err *e);
void session_save(struct session_turn *t, const struct turn *turn, session_saved_fn *fn, void *arg);

/* Gives up: no callback comes any more, the lock (or the place in the queue) is released and
 * the next one woken, nothing is stored. Also after a save has begun: then the save goes on
 * without a listener. NULL: nothing. */
void session_drop(struct session_turn *t);

/* Turns [first, first + count) of a dialog, from 0; fewer when the dialog ends, or when they
 * are larger than SESSION_PAGE_BYTES together: go on at first + page->count. At least one comes
 * as long as there is one. entries are borrowed during the callback. exists is false when there
 * is no such session; count 0 only asks that. */
enum { SESSION_PAGE_BYTES = 4 << 20 };
struct session_page {
    bool    exists;
    int64_t turns;                      /* of the whole dialog */
    int64_t created_at, updated_at;     /* wall ms */
    const struct session_part *entries;
    size_t  count;
};
typedef void session_page_fn(void *arg, const struct session_page *page, const struct err *e);
struct session_read;
/* Never calls back before it has returned. NULL: out of memory, no callback. */
struct session_read *session_read(struct sessions *s, const char *tenant, const char *id,
                                  size_t id_len, int64_t first, int64_t count, session_page_fn *fn,
                                  void *arg);
/* The session as it was at that time (wall ms of Redis), even if it was deleted since: as long as
 * a task that was accepted by then is running. */
struct session_read *session_read_as_of(struct sessions *s, const char *tenant, const char *id,
                                        size_t id_len, int64_t as_of, int64_t first, int64_t count,
                                        session_page_fn *fn, void *arg);
void session_read_cancel(struct session_read *r);
/* The page that a script answered, see turn_page.lua; borrows from the reply. False: out of
 * memory. */
bool session_page_take(const struct redisReply *reply, struct session_page *page);
void session_page_drop(struct session_page *page);

/* How long sessions live, as the scripts take it: "<ms after the last turn> <ms after it was
 * made>". Returns out. */
enum { SESSION_LIFE_SIZE = 48 };
const char *session_life(const struct settings *s, char out[SESSION_LIFE_SIZE]);

/* 1 to 256 bytes of UTF-8 without control characters, and neither "." nor "..". */
enum err_code session_id_check(const char *id, size_t len, struct err *e);
/* A new id of 128 random bits; with an idempotency key the same for each repeat. out: 33 bytes. */
void session_id_make(const char *tenant, const char *idempotency_key, char out[33]);

#endif
