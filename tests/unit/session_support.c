#include "tests/unit/session_support.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

enum { CHILDREN_MAX = 8, USERS_MAX = 64, NOW_MS = 3000, CALL_TIMEOUT_MS = 1000 };

struct support_redis *redis_server;
struct loop          *loop;
struct settings       settings;

static struct child children[CHILDREN_MAX];
static struct user  *users[USERS_MAX];
static size_t        child_count, user_count;
static int           begun_count;

void session_case_setup(void)
{
    redis_server = support_redis_start();
}

void session_case_teardown(void)
{
    support_redis_stop(redis_server);
}

void session_setup(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    support_redis_flush(redis_server);
    loop = loop_new();
    memset(&settings, 0, sizeof settings);
    settings.redis.timeout = CALL_TIMEOUT_MS;
    settings.server.max_user_text = 32 << 10;
    settings.model.max_answer = 1 << 20;
    settings.model.turn_timeout = 60000;
    settings.session.ttl = 3600 * 1000;
    settings.session.context_messages = 40;
    settings.session.context_tokens = 8000;
    settings.session.lease = 15000;
    settings.session.busy = SESSION_BUSY_WAIT;
    settings.session.wait = 30000;
    settings.session.idempotency_ttl = 3600 * 1000;
    settings.session.save_timeout = 15000;
}

void session_teardown(void)
{
    for (size_t i = 0; i < child_count; i++)
        child_kill(&children[i]);
    for (size_t i = 0; i < user_count; i++)
        free(users[i]);
    loop_free(loop);
}

static struct redis *connect_redis(const char *name)
{
    struct redis_options o = { .url = support_redis_url(redis_server), .connect_timeout = 2000,
                               .timeout = CALL_TIMEOUT_MS, .name = name };
    struct redis *r;
    struct err e = ERR_NONE;

    ck_assert_int_eq(redis_new(loop, &o, &r, &e), ERR_OK);
    return r;
}

static bool is_up(void *arg)
{
    return redis_is_up(arg);
}

/* How many listen: to be sure that one's own subscription has arrived. */
static int listeners(void)
{
    char *channels = support_redis_ask(redis_server, "PUBSUB CHANNELS c1:wake:*");
    int count = 0;

    for (const char *at = channels; (at = strstr(at, "c1:wake:")); at++)
        count++;
    free(channels);
    return count;
}

static bool has_listeners(void *arg)
{
    return listeners() >= *(int *)arg;
}

static struct child *new_child(bool deaf)
{
    struct child *c = &children[child_count++];
    int heard = listeners() + 1;

    ck_assert_uint_le(child_count, CHILDREN_MAX);
    c->redis = connect_redis("test");
    c->wake = deaf ? NULL : connect_redis("test-wake");
    c->sessions = sessions_new(loop, c->redis, c->wake, &settings);
    ck_assert_ptr_nonnull(c->sessions);
    support_until_true(loop, is_up, c->redis);
    if (!deaf)
        support_until_true(loop, has_listeners, &heard);
    return c;
}

struct child *child_new(void)
{
    return new_child(false);
}

struct child *child_new_deaf(void)
{
    return new_child(true);
}

void child_kill(struct child *c)
{
    sessions_free(c->sessions);
    redis_free(c->wake);
    redis_free(c->redis);
    *c = (struct child){ NULL, NULL, NULL };
}

static void note_window(struct user *u, const struct session_begun *begun)
{
    size_t at = 0;

    for (size_t i = 0; i < begun->window_count; i++)
        at += (size_t)snprintf(u->window + at, at < sizeof u->window ? sizeof u->window - at : 0,
                               "%.*s\n", (int)begun->window[i].len, begun->window[i].s);
    ck_assert_uint_lt(at, sizeof u->window);
}

static void on_begun(void *arg, const struct session_begun *begun, const struct err *e)
{
    struct user *u = arg;

    ck_assert(!u->answered);
    ck_assert_ptr_nonnull(u->turn);     /* the call has returned */
    ck_assert((begun != NULL) != (e != NULL));
    u->answered = true;
    if (e) {
        u->turn = NULL;
        u->failed = e->code;
        u->retry_after = e->retry_after;
        return;
    }
    u->number = begun->number;
    if (begun->replay) {
        u->replayed = true;
        snprintf(u->replay, sizeof u->replay, "%.*s", (int)begun->replay_len, begun->replay);
        return;
    }
    u->begun = true;
    u->place = ++begun_count;
    u->window_count = begun->window_count;
    snprintf(u->prompt, sizeof u->prompt, "%s", begun->prompt);
    note_window(u, begun);
}

struct user *user_begin_with(struct child *c, const struct session_request *q)
{
    struct user *u = calloc(1, sizeof *u);

    ck_assert_uint_lt(user_count, USERS_MAX);
    users[user_count++] = u;
    u->turn = session_begin(c->sessions, q, on_begun, u);
    ck_assert_ptr_nonnull(u->turn);
    ck_assert(!u->answered);
    return u;
}

struct user *user_begin(struct child *c, const char *session)
{
    return user_begin_with(c, &(struct session_request){
        .tenant = "default", .id = session, .id_len = strlen(session) });
}

struct user *user_repeat(struct child *c, const char *session, const char *key, const char *body)
{
    char hash[65];

    text_sha256_hex(hash, &(struct text_part){ body, strlen(body) }, 1);
    return user_begin_with(c, &(struct session_request){
        .tenant = "default", .id = session, .id_len = strlen(session), .idempotency_key = key,
        .body_hash = hash });
}

static void on_saved(void *arg, const struct err *e)
{
    struct user *u = arg;

    ck_assert(!u->saved && !u->failed);
    u->turn = NULL;
    u->saved = !e;
    u->failed = e ? e->code : ERR_OK;
}

void user_save(struct user *u, const char *said, const char *answer)
{
    struct turn t = { .asked_at = 1772357400000, .answered_at = 1772357403210, .model = "m",
                      .user = said, .user_len = strlen(said),
                      .bot = answer, .bot_len = strlen(answer) };

    session_forget_window(u->turn);
    session_save(u->turn, &t, on_saved, u);
    ck_assert(!u->saved && !u->failed);
}

void user_drop(struct user *u)
{
    session_drop(u->turn);
    u->turn = NULL;
}

void user_until_answered(struct user *u)
{
    support_until(loop, &u->answered);
}

void user_until_begun_now(struct user *u)
{
    int64_t began = clock_ms();

    user_until_answered(u);
    ck_assert_int_eq(u->failed, ERR_OK);
    ck_assert(u->begun);
    ck_assert_int_lt(clock_ms() - began, NOW_MS);
}

static bool is_settled(void *arg)
{
    const struct user *u = arg;

    return u->saved || u->failed;
}

void user_until_saved(struct user *u)
{
    support_until_true(loop, is_settled, u);
}

void take_turn(struct child *c, const char *session, const char *said, const char *answer)
{
    struct user *u = user_begin(c, session);

    user_until_begun_now(u);
    user_save(u, said, answer);
    user_until_saved(u);
    ck_assert(u->saved);
}

struct queue { const char *session; int waiters; };

static bool queue_has(void *arg)
{
    const struct queue *q = arg;
    struct key k = key_session("default", q->session, strlen(q->session), "wait");
    char *card = support_redis_ask(redis_server, "ZCARD %b", k.s, k.len);
    bool has = atoi(card) == q->waiters;

    free(card);
    return has;
}

void until_queue_has(const char *session, int waiters)
{
    struct queue q = { session, waiters };

    support_until_true(loop, queue_has, &q);
}

void expect(const char *wanted, const char *fmt, ...)
{
    char command[1024], *said;
    va_list args;

    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    said = support_redis_ask(redis_server, command);
    ck_assert_msg(strcmp(said, wanted) == 0, "%s: \"%s\" instead of \"%s\"", command, said, wanted);
    free(said);
}
