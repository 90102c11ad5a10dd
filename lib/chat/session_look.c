/* LOOK and WAIT: until the lock is ours, or it shows that the request was answered before. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/session_turn.h"

enum { NO_MEMORY_PAUSE_MS = 100 };

/* left: ms of the other's lease. */
static void fail_locked(struct session_turn *t, int64_t left, bool may_hold)
{
    struct err e = ERR_NONE;

    err_set(&e, ERR_LOCKED, "another turn of this session is being answered");
    e.retry_after = left > 1000 ? (int)((left + 999) / 1000) : 1;
    session_turn_fail(t, &e, may_hold);
}

static void fail_reused(struct session_turn *t)
{
    struct err e = ERR_NONE;

    err_set(&e, ERR_KEY_REUSED, "the Idempotency-Key was used with another body");
    session_turn_fail(t, &e, false);
}

/* Copies the texts of a reply from its element `first` on, each with a '\0' after it, in one
 * piece: the parts, then the bytes that they point into. NULL: out of memory. */
static struct session_part *copy_texts(const struct redisReply *reply, size_t first)
{
    size_t count = redis_reply_count(reply) - first, bytes = 0;
    struct session_part *parts;
    char *at;

    for (size_t i = 0; i < count; i++)
        bytes += redis_reply_text(redis_reply_at(reply, first + i)).len + 1;
    parts = malloc(count * sizeof *parts + bytes);
    if (!parts)
        return NULL;
    at = (char *)(parts + count);
    for (size_t i = 0; i < count; i++) {
        struct redis_arg text = redis_reply_text(redis_reply_at(reply, first + i));

        memcpy(at, text.s, text.len);
        at[text.len] = '\0';
        parts[i] = (struct session_part){ at, text.len };
        at += text.len + 1;
    }
    return parts;
}

/* The prompt's name and the summary are the first of the parts, the window the rest. */
static size_t only_messages(struct session_part *parts, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        turn_messages(parts[i].s, parts[i].len, &parts[kept].s, &parts[kept].len);
        kept += parts[kept].len > 0;
    }
    return kept;
}

static void tell_begun(struct session_turn *t, const struct session_begun *begun)
{
    session_begun_fn *fn = t->on_begun;

    t->on_begun = NULL;
    fn(t->arg, begun, NULL);
}

static void fail_memory(struct session_turn *t)
{
    struct err e = ERR_NONE;

    err_set(&e, ERR_INTERNAL, "reading the window: out of memory");
    session_turn_fail(t, &e, true);
}

static void begun(struct session_turn *t, const struct redisReply *reply)
{
    enum { FENCE = 1, NUMBER, SUMMARY_TURNS, PROMPT, SUMMARY, WINDOW };
    struct session_part *parts = copy_texts(reply, PROMPT);
    struct session_begun b;

    if (!parts) {
        fail_memory(t);
        return;
    }
    t->window = parts;
    t->fence = redis_reply_int(redis_reply_at(reply, FENCE));
    t->number = redis_reply_int(redis_reply_at(reply, NUMBER));
    b = (struct session_begun){
        .number = t->number,
        .prompt = parts[0].s,
        .summary = parts[1],
        .summary_turns = redis_reply_int(redis_reply_at(reply, SUMMARY_TURNS)),
        .window = parts + 2,
        .window_count = only_messages(parts + 2, redis_reply_count(reply) - WINDOW),
    };
    session_turn_enter(t, TURN_HELD);
    tell_begun(t, &b);
}

static void replayed(struct session_turn *t, const struct redisReply *reply)
{
    enum { NUMBER = 1, ENTRY };
    struct session_part *entry = copy_texts(reply, ENTRY);

    if (!entry) {
        fail_memory(t);
        return;
    }
    t->window = entry;
    session_turn_enter(t, TURN_REPLAYED);
    tell_begun(t, &(struct session_begun){
        .number = redis_reply_int(redis_reply_at(reply, NUMBER)),
        .prompt = "",
        .replay = entry->s,
        .replay_len = entry->len,
    });
}

static void on_taken(struct session_turn *t, int64_t left)
{
    int64_t half = t->sessions->settings->session.lease / 2;

    if (clock_ms() >= t->deadline) {
        fail_locked(t, left, true);
    } else if (t->state == TURN_LOOK_TWICE) {
        session_turn_enter(t, TURN_LOOK);
    } else {
        t->left = left;
        t->pause = left > 0 && left < half ? left + 1 : half;
        session_turn_enter(t, TURN_WAIT);
    }
}

static void on_answer(struct session_turn *t, const struct redisReply *reply)
{
    t->repeated = false;
    if (session_answers(reply, "begun"))
        begun(t, reply);
    else if (session_answers(reply, "replay"))
        replayed(t, reply);
    else if (session_answers(reply, "wait"))
        on_taken(t, redis_reply_int(redis_reply_at(reply, 1)));
    else if (session_answers(reply, "busy"))
        fail_locked(t, redis_reply_int(redis_reply_at(reply, 1)), false);
    else
        fail_reused(t);
}

/* One look that takes too long ends the connection, and with it the looks that have just begun.
 * They are repeated once, in what is left of their own time: turn_begin knows who asks. */
static bool look_again(struct session_turn *t, const struct err *e)
{
    if (e->code != ERR_STORE || t->repeated || clock_ms() >= t->look_by)
        return false;
    t->repeated = true;
    session_turn_enter(t, TURN_LOOK);
    return true;
}

static void on_look(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_turn *t = arg;

    t->call = NULL;
    if (!t->on_begun)
        session_turn_give_up(t);    /* dropped meanwhile */
    else if (e && look_again(t, e))
        return;
    else if (e)
        session_turn_fail(t, e, true);
    else
        on_answer(t, reply);
}

void session_turn_look(struct session_turn *t)
{
    int64_t now = clock_ms();

    timer_stop(&t->timer);
    if (!t->repeated)
        t->look_by = now + t->sessions->settings->redis.timeout;
    t->call = session_call_begin(t, t->look_by > now ? t->look_by - now : 1, on_look);
    if (!t->call) {     /* no memory just now */
        t->pause = NO_MEMORY_PAUSE_MS;
        session_turn_enter(t, TURN_WAIT);
    }
}

void session_turn_wait(struct session_turn *t)
{
    int64_t left = t->deadline - clock_ms();

    timer_set(&t->timer, left < t->pause ? left : t->pause);
}

void session_turn_waited(struct session_turn *t)
{
    if (clock_ms() >= t->deadline)
        fail_locked(t, t->left, true);
    else
        session_turn_enter(t, TURN_LOOK);
}

void session_forget_window(struct session_turn *t)
{
    free(t->window);
    t->window = NULL;
}
