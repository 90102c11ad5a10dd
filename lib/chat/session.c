/* A turn, from taking the session's lock to giving it up.
 *
 *   LOOK -> HELD -> SAVE -> GONE           nobody in the way, Redis well
 *
 *   LOOK <-> WAIT                          the lock is taken: queue, be woken, look again
 *   LOOK -> LOOK                           its connection was lost, its time is not over
 *   LOOK -> LOOK_TWICE -> LOOK             woken before the answer to the look has come
 *   LOOK -> REPLAYED -> GONE               answered before; nothing is held
 *   SAVE <-> SAVE_AGAIN                    Redis is away: try until the deadline
 *   SAVE -> UNSAVED                        there is not even an entry to send
 *   any failure or drop -> RELEASE <-> RELEASE_AGAIN -> GONE
 *
 * A look whose answer is lost may still have taken the lock, and one that was dropped may
 * yet take it. So whoever ends otherwise than well sends turn_release, which knows the turn by
 * its ticket and gives back whatever it holds; only a look that was plainly turned away need
 * not. While Redis is away this is repeated for a lease, after which it does not matter. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/session_turn.h"

/* Between tries while Redis is away: doubled each time. */
enum { PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 1000 };

static void release(struct session_turn *t);

void session_turn_enter(struct session_turn *t, enum turn_state next)
{
    t->state = next;
    switch (next) {
    case TURN_LOOK:          session_turn_look(t); break;
    case TURN_LOOK_TWICE:    break;
    case TURN_WAIT:          session_turn_wait(t); break;
    case TURN_HELD:          session_turn_hold(t); break;
    case TURN_REPLAYED:      break;
    case TURN_SAVE:          session_turn_save(t); break;
    case TURN_SAVE_AGAIN:    session_turn_try_again(t); break;
    case TURN_UNSAVED:       timer_set(&t->timer, 0); break;
    case TURN_RELEASE:       release(t); break;
    case TURN_RELEASE_AGAIN: session_turn_try_again(t); break;
    case TURN_GONE:          session_turn_free(t); break;
    }
}

static void on_timer(void *arg)
{
    struct session_turn *t = arg;

    switch (t->state) {
    case TURN_WAIT:          session_turn_waited(t); break;
    case TURN_HELD:          session_turn_renew(t); break;
    case TURN_SAVE_AGAIN:    session_turn_enter(t, TURN_SAVE); break;
    case TURN_UNSAVED:       session_turn_unsaved(t); break;
    case TURN_RELEASE_AGAIN: session_turn_enter(t, TURN_RELEASE); break;
    default:                 assert(!"a timer in this state"); break;
    }
}

void session_turn_wake(struct session_turn *t)
{
    if (t->state == TURN_WAIT)
        session_turn_enter(t, TURN_LOOK);
    else if (t->state == TURN_LOOK)
        session_turn_enter(t, TURN_LOOK_TWICE);
    else if (t->state == TURN_HELD && !t->call)
        session_turn_renew(t);
    else if (t->state == TURN_SAVE_AGAIN)
        session_turn_enter(t, TURN_SAVE);
}

void session_drop(struct session_turn *t)
{
    if (!t)
        return;
    t->on_begun = NULL;
    t->on_saved = NULL;
    switch (t->state) {
    case TURN_LOOK:
    case TURN_LOOK_TWICE: break;    /* what it takes is given back when the answer comes */
    case TURN_WAIT:
    case TURN_HELD:       session_turn_give_up(t); break;
    case TURN_REPLAYED:   session_turn_enter(t, TURN_GONE); break;
    case TURN_SAVE:
    case TURN_SAVE_AGAIN:
    case TURN_UNSAVED:    break;    /* goes on */
    default:              assert(!"dropped twice"); break;
    }
}

void session_turn_try_again(struct session_turn *t)
{
    t->pause = t->pause ? 2 * t->pause : PAUSE_MIN_MS;
    if (t->pause > PAUSE_MAX_MS)
        t->pause = PAUSE_MAX_MS;
    timer_set(&t->timer, t->pause);
}

bool session_answers(const struct redisReply *reply, const char *word)
{
    struct redis_arg first = redis_reply_text(redis_reply_at(reply, 0));

    return first.len == strlen(word) && memcmp(first.s, word, first.len) == 0;
}

/* --- the end ----------------------------------------------------------------------------- */

void session_turn_fail(struct session_turn *t, const struct err *e, bool may_hold)
{
    session_begun_fn *on_begun = t->on_begun;
    session_saved_fn *on_saved = t->on_saved;
    void *arg = t->arg;

    t->on_begun = NULL;
    t->on_saved = NULL;
    if (may_hold)
        session_turn_give_up(t);
    else
        session_turn_enter(t, TURN_GONE);
    if (on_begun)
        on_begun(arg, NULL, e);
    else if (on_saved)
        on_saved(arg, e);
}

static void on_released(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_turn *t = arg;

    (void)reply;
    t->call = NULL;
    if (e && e->code == ERR_STORE && clock_ms() < t->deadline)
        session_turn_enter(t, TURN_RELEASE_AGAIN);
    else
        session_turn_enter(t, TURN_GONE);
}

static void release(struct session_turn *t)
{
    free(t->entry);
    free(t->title);
    t->entry = NULL;
    t->title = NULL;
    session_forget_window(t);
    t->call = session_call_release(t, on_released);
    if (!t->call)
        session_turn_enter(t, TURN_RELEASE_AGAIN);
}

void session_turn_quiet(struct session_turn *t)
{
    timer_stop(&t->timer);
    redis_call_cancel(t->call);
    t->call = NULL;
}

void session_turn_give_up(struct session_turn *t)
{
    session_turn_quiet(t);
    t->pause = 0;
    t->deadline = clock_ms() + t->sessions->settings->session.lease;
    session_turn_enter(t, TURN_RELEASE);
}

void session_turn_free(struct session_turn *t)
{
    session_turn_quiet(t);
    sessions_remove(t->sessions, t);
    free(t->window);
    free(t->entry);
    free(t->title);
    free(t);
}

/* --- the beginning ----------------------------------------------------------------------- */

/* Copies a C string to *at, moves *at behind it, and returns the copy. */
static char *put(char **at, const char *s, size_t len)
{
    char *copy = memcpy(*at, s, len);

    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

/* Hashes of what the client sent with its key, "" without one. Another session with the same
 * body is another request. */
static void hash_key(const struct session_request *q, char idem[65], char says[65])
{
    idem[0] = says[0] = '\0';
    if (!q->idempotency_key)
        return;
    text_sha256_hex(idem, (struct text_part[]){
        { "chat", 4 }, { q->idempotency_key, strlen(q->idempotency_key) } }, 2);
    text_sha256_hex(says, (struct text_part[]){
        { q->id, q->id_len }, { q->body_hash, strlen(q->body_hash) } }, 2);
}

struct session_turn *session_begin(struct sessions *s, const struct session_request *q,
                                   session_begun_fn *fn, void *arg)
{
    char idem[65], says[65], *at;
    size_t tenant_len = strlen(q->tenant);
    struct session_turn *t;

    hash_key(q, idem, says);
    t = calloc(1, sizeof *t + tenant_len + q->id_len + strlen(idem) + strlen(says) + 4);
    if (!t)
        return NULL;
    at = t->text;
    put(&at, q->tenant, tenant_len);
    t->id = put(&at, q->id, q->id_len);
    t->id_len = q->id_len;
    t->idem = put(&at, idem, strlen(idem));
    t->says = put(&at, says, strlen(says));
    t->sessions = s;
    t->on_begun = fn;
    t->arg = arg;
    t->deadline = clock_ms() + s->settings->session.wait;
    timer_init(&t->timer, s->loop, on_timer, t);
    sessions_add(s, t);
    session_turn_enter(t, TURN_LOOK);
    return t;
}
