/* HELD and SAVE: the lock is kept while the answer is made, then the pair is stored. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/session_title.h"
#include "lib/chat/session_turn.h"

enum {
    JSON_GROWTH = 6,        /* a byte of text in JSON at worst: \u0001 */
    ENTRY_HEAD = 4096,
};

void session_turn_hold(struct session_turn *t)
{
    t->pause = 0;
    timer_set(&t->timer, t->sessions->settings->session.lease / 3);
}

static void on_renewed(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_turn *t = arg;

    t->call = NULL;
    if (e)
        session_turn_try_again(t);
    else if (session_answers(reply, "renewed"))
        session_turn_hold(t);
    /* Else it is lost; the save will say why. */
}

void session_turn_renew(struct session_turn *t)
{
    timer_stop(&t->timer);
    t->call = session_call_renew(t, on_renewed);
    if (!t->call)
        session_turn_try_again(t);
}

/* t->entry stays NULL when it cannot be made. */
static void encode(struct session_turn *t, const struct turn *turn)
{
    const struct settings *s = t->sessions->settings;
    struct turn fenced = *turn;
    struct buf out;

    fenced.id = t->fence;
    buf_init(&out, (size_t)(s->model.max_answer + s->server.max_user_text) * JSON_GROWTH +
                   ENTRY_HEAD);
    if (turn_encode(&out, &fenced))
        t->entry = buf_steal(&out, &t->entry_len);
    buf_close(&out);
}

/* A session is called by its first words, unless it has a title. Without memory it goes without. */
static void make_title(struct session_turn *t, const struct turn *turn)
{
    char title[SESSION_TITLE_MADE + 1];

    if (t->number == 1 && session_title_of(turn->user, turn->user_len, title) > 0)
        t->title = strdup(title);
}

void session_save(struct session_turn *t, const struct turn *turn, session_saved_fn *fn, void *arg)
{
    assert(t->state == TURN_HELD);
    session_turn_quiet(t);
    session_forget_window(t);
    encode(t, turn);
    make_title(t, turn);
    t->on_saved = fn;
    t->arg = arg;
    t->pause = 0;
    t->deadline = clock_ms() + t->sessions->settings->session.save_timeout;
    session_turn_enter(t, t->entry ? TURN_SAVE : TURN_UNSAVED);
}

static void saved(struct session_turn *t)
{
    session_saved_fn *fn = t->on_saved;
    void *arg = t->arg;

    session_turn_enter(t, TURN_GONE);
    if (fn)
        fn(arg, NULL);
}

static void fail_save(struct session_turn *t, enum err_code code, const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", why);
    session_turn_fail(t, &e, true);
}

static void on_save(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_turn *t = arg;

    t->call = NULL;
    if (e && e->code == ERR_STORE && clock_ms() + t->pause < t->deadline)
        session_turn_enter(t, TURN_SAVE_AGAIN);
    else if (e)
        fail_save(t, ERR_NOT_SAVED, e->detail);
    else if (session_answers(reply, "saved"))
        saved(t);
    else if (session_answers(reply, "gone"))
        fail_save(t, ERR_SESSION_GONE, "the session was deleted meanwhile");
    else
        fail_save(t, ERR_NOT_SAVED, "a later turn has taken the lock");
}

void session_turn_save(struct session_turn *t)
{
    timer_stop(&t->timer);
    t->call = session_call_save(t, on_save);
    if (!t->call)
        session_turn_enter(t, TURN_SAVE_AGAIN);
}

void session_turn_unsaved(struct session_turn *t)
{
    fail_save(t, ERR_NOT_SAVED, "too large, or out of memory");
}
