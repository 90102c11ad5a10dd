/* POST /api/v1/chat: answer one message, whole or as a stream; one way for both, and for the
 * older routes that ask for the same in other words (older.c).
 *
 *   CHECK -> LOCK -> ADMIT -> ASK -> SAVE -> DONE
 *
 * LOCK waits for this session's turn and brings its window; the key's limits are asked about at the
 * same time, and ADMIT waits for that answer, should it come last. A request that was answered
 * before (Idempotency-Key) goes from there straight to DONE with the first answer. Text leaves for
 * the client during ASK, as it comes. Nobody is told that the turn is done before SAVE has ended
 * well. A failure goes from any state straight to DONE, with err set, and stores nothing.
 *
 * The client may leave at any time. Unless the turn is to be finished without it, the model is
 * not asked any further; what was already streamed is kept, marked as interrupted. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/access.h"
#include "fcgi/app.h"
#include "fcgi/handlers/chat.h"
#include "fcgi/handlers/chat_question.h"
#include "fcgi/handlers/chat_reply.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/response.h"
#include "lib/base/clock.h"

enum { MEMORY_MAX = 128 * 1024 };       /* bytes of a summary, as it is shown */

enum chat_state { CHAT_CHECK, CHAT_LOCK, CHAT_ADMIT, CHAT_ASK, CHAT_SAVE, CHAT_DONE };

struct chat {
    enum chat_state      state;
    struct err           err;           /* why we ended, if not well */
    struct request      *request;       /* borrowed; gone when DONE has replied */
    struct app          *app;           /* borrowed */
    const struct chat_dialect *dialect; /* borrowed, constant */
    struct chat_input    in;            /* its text is ours */
    struct chat_reply    reply;
    struct quota_grant  *grant;         /* ours from LOCK until SAVE or DONE ends it */
    struct session_turn *turn;          /* ours from LOCK until SAVE gives it away */
    struct session_begun begun;         /* in ADMIT; borrows from the turn */
    struct model_call   *call;          /* ours during ASK */
    struct timer         silence;       /* LOCK to DONE: keeps a silent stream alive */
    struct timer         deadline;      /* ASK: of the whole answer */
    int64_t              spoke_ms;      /* when the client last heard of us */
    struct buf           answer;
    struct turn          said;          /* what SAVE appends; borrows from in and answer */
    char                 model[80], finish_reason[32];
    struct model_usage   usage;
    size_t               asked_bytes;   /* of what the model was shown; 0 = not asked */
    int64_t              asked_tokens;  /* the same, estimated */
    int64_t              fold;          /* see chat_question_fold */
    int64_t              asked_us, upstream_us;     /* when, and how long the model took */
    bool                 lagging;       /* the reader is slow, the model paused */
};

/* In the order in which they run. */
static void check(struct chat *c);
static void lock(struct chat *c);
static void on_quota(void *arg, const struct quota_state *state, const struct err *e);
static void on_begun(void *arg, const struct session_begun *begun, const struct err *e);
static void admit(struct chat *c);
static void replay(struct chat *c, const struct session_begun *begun);
static void ask(struct chat *c, const struct session_begun *begun);
static void on_text(void *arg, const char *text, size_t len);
static void on_answered(void *arg, const struct model_answer *answer, const struct err *e);
static void save(struct chat *c);
static void on_saved(void *arg, const struct err *e);
static void done(struct chat *c);
/* At any time. */
static void on_gone(void *arg);
static void on_drained(void *arg);
static void on_silence(void *arg);
static void on_deadline(void *arg);

static const struct { const char *name; void (*run)(struct chat *c); } states[] = {
    [CHAT_CHECK] = { "check", check },
    [CHAT_LOCK]  = { "lock",  lock },
    [CHAT_ADMIT] = { "admit", admit },
    [CHAT_ASK]   = { "ask",   NULL },   /* entered by ask, which has the window */
    [CHAT_SAVE]  = { "save",  save },
    [CHAT_DONE]  = { "done",  done },
};

/* The only place that changes the state. c may be gone when this returns, so a call to it is
 * the last thing its caller does. */
static void chat_enter(struct chat *c, enum chat_state next)
{
    log_debug(&c->request->log, "chat %s -> %s", states[c->state].name, states[next].name);
    c->state = next;
    if (states[next].run)
        states[next].run(c);
}

static void chat_fail(struct chat *c, const struct err *e)
{
    c->err = *e;
    chat_enter(c, CHAT_DONE);
}

static void chat_fail_new(struct chat *c, enum err_code code, const char *why)
{
    err_set(&c->err, code, "%s", why);
    chat_enter(c, CHAT_DONE);
}

void handle_chat(struct request *r)
{
    static const struct chat_dialect ours = { .text_field = "user_text" };

    chat_begin(r, &ours);
}

void chat_begin(struct request *r, const struct chat_dialect *dialect)
{
    struct chat *c = calloc(1, sizeof(*c));
    struct err e = ERR_NONE;

    if (!c) {
        err_set(&e, ERR_INTERNAL, "out of memory");
        response_error(r, &e);
        return;
    }
    c->request = r;
    c->app = r->app;
    c->dialect = dialect;
    r->on_gone = on_gone;
    r->on_drained = on_drained;
    r->arg = c;
    buf_init(&c->answer, (size_t)c->app->settings.model.max_answer);
    timer_init(&c->silence, c->app->loop, on_silence, c);
    timer_init(&c->deadline, c->app->loop, on_deadline, c);
    chat_enter(c, CHAT_CHECK);
}

static void check(struct chat *c)
{
    enum err_code code = chat_input_read(c->request, c->dialect, &c->in, &c->err);

    if (c->in.session_len > 0)
        response_header(c->request, "X-Session-Id", c->in.session);
    if (code != ERR_OK) {
        chat_enter(c, CHAT_DONE);
        return;
    }
    c->said.asked_at = clock_wall_ms();
    c->reply = (struct chat_reply){
        .request = c->request,
        .stream = c->in.stream,
        .plain_events = c->dialect->plain_events,
        .tell_session = c->in.session_made || c->dialect->tell_session,
        .session = c->in.session,
        .session_len = c->in.session_len,
    };
    if (c->in.stream) {
        response_stream_begin(c->request);
        c->spoke_ms = clock_ms();
        timer_set(&c->silence, c->app->settings.server.keepalive);
    }
    chat_enter(c, CHAT_LOCK);
}

/* A token is some four bytes. */
static int64_t tokens_of(size_t bytes)
{
    return (int64_t)(bytes + 3) / 4;
}

/* Both questions leave together, and Redis answers in order: limits cost no round trip. */
static void lock(struct chat *c)
{
    int64_t tokens = c->app->settings.limits.reserve_tokens + tokens_of(c->in.text_len);
    struct session_request q = {
        .tenant = c->request->tenant,
        .id = c->in.session,
        .id_len = c->in.session_len,
        .idempotency_key = c->in.key,
        .body_hash = c->in.key ? c->in.body_hash : NULL,
    };

    c->grant = quota_ask(c->app->quota, c->request->key, QUOTA_TURN, tokens, on_quota, c);
    c->turn = c->grant ? session_begin(c->app->sessions, &q, on_begun, c) : NULL;
    if (!c->turn)
        chat_fail_new(c, ERR_INTERNAL, "beginning the turn: out of memory");
}

static void on_quota(void *arg, const struct quota_state *state, const struct err *e)
{
    struct chat *c = arg;

    access_headers(c->request, state);
    if (e)
        chat_fail(c, e);
    else if (c->state == CHAT_ADMIT)
        admit(c);
}

static void on_begun(void *arg, const struct session_begun *begun, const struct err *e)
{
    struct chat *c = arg;

    if (e) {
        c->turn = NULL;
        chat_fail(c, e);
        return;
    }
    c->reply.turn = begun->number;
    c->begun = *begun;
    chat_enter(c, CHAT_ADMIT);
}

static void admit(struct chat *c)
{
    if (quota_pending(c->grant))
        return;
    if (c->begun.replay)
        replay(c, &c->begun);
    else
        ask(c, &c->begun);
}

/* The first answer once more. How it finished and what it cost was told once, and is not kept. */
static void replay(struct chat *c, const struct session_begun *begun)
{
    struct err e = ERR_NONE;
    struct turn_holder holder;
    struct turn t;

    if (turn_decode(begun->replay, begun->replay_len, &t, &holder, &e) != ERR_OK) {
        chat_fail(c, &e);
        return;
    }
    if (c->in.stream && t.bot_len > 0)
        chat_reply_delta(&c->reply, t.bot, t.bot_len);
    buf_add(&c->answer, t.bot, t.bot_len);
    strcpy(c->finish_reason, "stop");
    turn_release(&holder);
    chat_enter(c, CHAT_DONE);
}

static void ask(struct chat *c, const struct session_begun *begun)
{
    static const struct model_handlers on = { .on_text = on_text, .on_done = on_answered };
    struct model_question q;
    struct buf memory;

    buf_init(&memory, MEMORY_MAX);
    q = chat_question(c->app, &c->in, begun, &c->request->log, &memory, &c->asked_tokens);
    c->fold = chat_question_fold(&q, begun);
    c->asked_bytes = strlen(q.system) + q.memory.len + q.user_len;
    for (size_t i = 0; i < q.window_count; i++)
        c->asked_bytes += q.window[i].len;
    c->asked_us = clock_us();
    c->call = model_ask(c->app->model, &q, &on, c);
    buf_close(&memory);
    session_forget_window(c->turn);
    if (!c->call) {
        chat_fail_new(c, ERR_INTERNAL, "asking the model: out of memory");
        return;
    }
    timer_set(&c->deadline, c->app->settings.model.turn_timeout);
    chat_enter(c, CHAT_ASK);
}

static void on_text(void *arg, const char *text, size_t len)
{
    struct chat *c = arg;
    int64_t began_us = clock_us();

    if (!buf_add(&c->answer, text, len)) {
        chat_fail_new(c, ERR_UPSTREAM, "the answer is longer than model.max_answer");
        return;
    }
    if (c->in.stream) {
        c->spoke_ms = began_us / 1000;
        if (!chat_reply_delta(&c->reply, text, len) && !c->lagging) {
            c->lagging = true;
            model_pause(c->call);
        }
    }
    c->upstream_us -= clock_us() - began_us;
}

/* A turn without a word is no answer: the next one could not build on it. It is one only
 * where the model says that it was kept from speaking. */
static bool may_be_empty(const char *finish_reason)
{
    return strcmp(finish_reason, "content_filter") == 0 || strcmp(finish_reason, "length") == 0;
}

static void on_answered(void *arg, const struct model_answer *answer, const struct err *e)
{
    struct chat *c = arg;

    c->call = NULL;
    c->upstream_us += clock_us() - c->asked_us;
    if (e) {
        chat_fail(c, e);
        return;
    }
    snprintf(c->finish_reason, sizeof(c->finish_reason), "%s", answer->finish_reason);
    snprintf(c->model, sizeof(c->model), "%s", answer->model);
    c->usage = answer->usage;
    if (c->usage.known)
        window_learn(&c->app->scale, c->asked_tokens, c->usage.prompt);
    if (c->answer.len == 0 && !may_be_empty(c->finish_reason))
        chat_fail_new(c, ERR_UPSTREAM, "the model's answer has no text");
    else
        chat_enter(c, CHAT_SAVE);
}

/* What the key is charged: as the model has reported; estimated when it has not, and then nothing
 * for a turn that it did not say a word in. */
static struct quota_spent spent(const struct chat *c)
{
    struct quota_spent s = { c->usage.prompt, c->usage.completion, c->usage.total };

    if (!c->usage.known && c->asked_bytes > 0 && c->answer.len > 0) {
        s.prompt = tokens_of(c->asked_bytes);
        s.completion = tokens_of(c->answer.len);
        s.total = s.prompt + s.completion;
    }
    return s;
}

/* The turn is over for the key's limits, once; to be told before the client is, who may ask again at
 * once. */
static void account(struct chat *c)
{
    struct quota_spent used = spent(c);

    quota_end(c->grant, &used);
    c->grant = NULL;
}

static void save(struct chat *c)
{
    struct session_turn *turn = c->turn;

    timer_stop(&c->deadline);
    c->said.answered_at = clock_wall_ms();
    c->said.user = c->in.text;
    c->said.user_len = c->in.text_len;
    c->said.bot = c->answer.data;
    c->said.bot_len = c->answer.len;
    c->said.model = c->model;
    account(c);     /* Redis answers in order: it is done when the turn is saved */
    session_save(turn, &c->said, on_saved, c);
}

static void on_saved(void *arg, const struct err *e)
{
    struct chat *c = arg;

    c->turn = NULL;
    if (e) {
        chat_fail(c, e);
        return;
    }
    if (c->fold)
        memory_fold(c->app->memory, c->request->tenant, c->in.session, c->in.session_len, c->fold);
    chat_enter(c, CHAT_DONE);
}

/* The only way out, well or ill. */
static void done(struct chat *c)
{
    int64_t now = clock_us(), overhead_us;

    if (c->call)        /* we end before the model does */
        c->upstream_us += now - c->asked_us;
    overhead_us = now - c->request->started_us - c->upstream_us;
    timer_stop(&c->silence);
    timer_stop(&c->deadline);
    model_cancel(c->call);
    account(c);
    if (c->turn)
        session_drop(c->turn);
    if (c->err.code != ERR_OK) {
        response_overhead(c->request, overhead_us);
        response_error(c->request, &c->err);
    } else {
        struct chat_end end = {
            .text = c->answer.data, .len = c->answer.len,
            .finish_reason = c->finish_reason,
            .usage = c->usage,
            .overhead_us = overhead_us,
        };
        chat_reply_end(&c->reply, &end);
    }
    buf_close(&c->answer);
    free(c->in.text);
    free(c);
}

/* Somebody may come back for the answer under its key, or the operator wants every turn kept. */
static bool finishes_alone(const struct chat *c)
{
    return c->in.key || c->app->settings.session.on_disconnect == ON_DISCONNECT_FINISH;
}

static void on_gone(void *arg)
{
    struct chat *c = arg;

    timer_stop(&c->silence);
    if (finishes_alone(c)) {
        on_drained(c);              /* a reader that is gone is not slow any more */
    } else if (c->state == CHAT_ASK && c->in.stream && c->answer.len > 0) {
        /* It says who it is only at the end. */
        snprintf(c->model, sizeof(c->model), "%s", model_call_name(c->call));
        model_cancel(c->call);
        c->call = NULL;
        c->said.interrupted = true;
        chat_enter(c, CHAT_SAVE);
    } else if (c->state != CHAT_SAVE) {
        chat_fail_new(c, ERR_CANCELLED, "the client has left");
    }
}

static void on_drained(void *arg)
{
    struct chat *c = arg;

    if (!c->lagging)
        return;
    c->lagging = false;
    if (c->call)
        model_resume(c->call);
}

/* The timer is not set anew with each piece of text; it looks how long the silence has been. */
static void on_silence(void *arg)
{
    struct chat *c = arg;
    int64_t keepalive = c->app->settings.server.keepalive;
    int64_t silent = clock_ms() - c->spoke_ms;

    if (silent >= keepalive) {
        if (!c->lagging)            /* then it still has something to read */
            response_comment(c->request);
        c->spoke_ms = clock_ms();
        silent = 0;
    }
    timer_set(&c->silence, keepalive - silent);
}

static void on_deadline(void *arg)
{
    chat_fail_new(arg, ERR_UPSTREAM_SLOW, "the answer took longer than model.turn_timeout");
}
