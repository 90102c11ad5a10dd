#include "tests/unit/task_support.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/chat/turn.h"

struct support_redis *task_server;
struct loop          *task_loop;
struct redis         *task_redis;
struct settings       task_settings;
struct task_desk     *task_desk;

/* Texts that are handed out; they go with the test. */
static char  *texts[4096];
static size_t text_count;

/* What one call came to. */
static struct outcome {
    bool               came, held;
    enum task_reserved reserved;
    struct task        task;
    char               id[KEYS_TASK_MAX + 1];
    int64_t            count;
    char               cursor[TASK_CURSOR_OF_ALL_SIZE];
    enum err_code      code;
} got;

void task_case_setup(void)
{
    task_server = support_redis_start();
}

void task_case_teardown(void)
{
    support_redis_stop(task_server);
}

static void on_count(void *arg, int64_t count, const struct err *e)
{
    (void)arg;
    got.came = true;
    got.count = count;
    got.code = e ? e->code : ERR_OK;
}

static void until_came(const struct task_call *c)
{
    ck_assert_ptr_nonnull(c);
    ck_assert_msg(!got.came, "called back before the call had returned");
    support_until(task_loop, &got.came);
}

static void begin(void)
{
    memset(&got, 0, sizeof got);
}

void task_setup(void)
{
    struct redis_options o = { .url = support_redis_url(task_server), .connect_timeout = 2000,
                               .timeout = 5000, .name = "test" };
    struct err e = ERR_NONE;

    log_init("test", LOG_LEVEL_ERROR);
    support_redis_flush(task_server);
    task_loop = loop_new();
    ck_assert_msg(redis_new(task_loop, &o, &task_redis, &e) == ERR_OK, "%s", e.detail);
    memset(&task_settings, 0, sizeof task_settings);
    task_settings.redis.timeout = 800;
    task_settings.session.ttl = 3600 * 1000;
    task_settings.session.idempotency_ttl = 3600 * 1000;
    task_settings.tasks.concurrency = 4;
    task_settings.tasks.lease = 60 * 1000;
    task_settings.tasks.attempts = 25;
    task_settings.tasks.retry_base = 1000;
    task_settings.tasks.retry_max = 60 * 1000;
    task_settings.tasks.fault_grace = 3600 * 1000;
    task_settings.tasks.ttl = 7200 * 1000;
    task_settings.tasks.stop_timeout = 10 * 1000;
    task_settings.tasks.canary_base = 60 * 1000;
    task_settings.tasks.canary_max = 600 * 1000;
    task_settings.tasks.crashes_alone = 1;
    task_desk = task_desk_new(task_redis, &task_settings);
    begin();
    until_came(task_group(task_redis, on_count, NULL));
    ck_assert_int_eq(got.count, 1);
}

void task_teardown(void)
{
    task_desk_free(task_desk);
    redis_free(task_redis);
    loop_free(task_loop);
    while (text_count)
        free(texts[--text_count]);
}

static const char *keep(char *text)
{
    ck_assert(text_count < sizeof texts / sizeof texts[0]);
    return texts[text_count++] = text;
}

const char *task_ask(const char *fmt, ...)
{
    char *line = NULL;
    char *said;
    va_list args;

    va_start(args, fmt);
    ck_assert_int_ge(vasprintf(&line, fmt, args), 0);
    va_end(args);
    said = support_redis_ask(task_server, line);
    free(line);
    return keep(said);
}

void task_dialog(const char *session, int turns)
{
    struct key hash = key_session("default", session, strlen(session), "");
    struct key msgs = key_session("default", session, strlen(session), "msgs");
    const char *created = task_ask("EVAL return(redis.call('TIME')[1]*1000-1) 0");

    task_ask("HSET %s created %s updated %s turns %d", hash.s, created, created, turns);
    for (int i = 1; i <= turns; i++) {
        char user[64], bot[64];
        struct turn t = { .id = i, .asked_at = 1772357400000 + i, .answered_at = 1772357401000 + i,
                          .user = user, .bot = bot, .model = "test-model" };
        struct buf entry;

        t.user_len = (size_t)snprintf(user, sizeof user, "question %d", i);
        t.bot_len = (size_t)snprintf(bot, sizeof bot, "answer %d", i);
        buf_init(&entry, 4096);
        ck_assert(turn_encode(&entry, &t));
        free(support_redis_ask(task_server, "RPUSH %s %b", msgs.s, entry.data, entry.len));
        buf_close(&entry);
    }
    task_ask("PEXPIRE %s 3600000", hash.s);
    task_ask("PEXPIRE %s 3600000", msgs.s);
}

/* --- calls of task.h --- */

static void on_accepted(void *arg, const char *id, const struct err *e)
{
    (void)arg;
    ck_assert(!id == !!e);
    got.came = true;
    got.code = e ? e->code : ERR_OK;
    snprintf(got.id, sizeof got.id, "%s", id ? id : "");
}

enum err_code task_make_with(const char *session, const char *key, const char *body,
                             char id[KEYS_TASK_MAX + 1])
{
    struct task_request q = { .tenant = "default", .session = session,
                              .session_len = strlen(session), .idempotency_key = key,
                              .body_hash = body };

    begin();
    ck_assert(task_accept(task_desk, &q, on_accepted, NULL));
    ck_assert(!got.came);
    support_until(task_loop, &got.came);
    strcpy(id, got.id);
    return got.code;
}

const char *task_make(const char *session)
{
    char id[KEYS_TASK_MAX + 1];

    ck_assert_int_eq(task_make_with(session, NULL, NULL, id), ERR_OK);
    return keep(strdup(id));
}

void task_put(const char *id, const char *session)
{
    static const char script[] =
        "local id, session = ARGV[1], ARGV[2] "
        "local t = redis.call('TIME') "
        "local entry = redis.call('XADD', 'c1:tasks:stream', '*', 't', id) "
        "redis.call('ZADD', 'c1:{default}:idx:open', 1, id) "
        "redis.call('ZADD', 'c1:tasks:tenants', 0, 'default') "
        "redis.call('HSET', 'c1:task:' .. id, 'tn', 'default', 'se', session, 'st', 'pending', "
        "           'nt', 1, 't0', t[1] * 1000 + math.floor(t[2] / 1000), 'en', entry)";

    free(support_redis_ask(task_server, "EVAL %s 0 %s %s", script, id, session));
}

static void on_found(void *arg, const struct task *t, const struct err *e)
{
    (void)arg;
    ck_assert(!t == !!e);
    got.came = true;
    got.code = e ? e->code : ERR_OK;
    if (t)
        got.task = *t;
}

struct task task_now(const char *id)
{
    begin();
    until_came(task_find(task_redis, "default", id, on_found, NULL));
    ck_assert_int_eq(got.code, ERR_OK);
    return got.task;
}

const char *task_field(const char *id, const char *field)
{
    return task_ask("HGET c1:task:%s %s", id, field);
}

/* --- calls of task_work.h --- */

const char *task_read(const char *consumer)
{
    const char *said = task_ask("XREADGROUP GROUP runners %s COUNT 1 STREAMS c1:tasks:stream >",
                                consumer);
    const char *line = strchr(said, '\n');
    char *entry;

    if (!line)
        return "";
    entry = strndup(line + 1, strcspn(line + 1, "\n"));
    return keep(entry);
}

static void on_reserved(void *arg, enum task_reserved what, const struct task *t,
                        const struct session_page *begun, const struct err *e)
{
    (void)arg;
    (void)begun;
    got.came = true;
    got.reserved = what;
    got.code = e ? e->code : ERR_OK;
    if (t)
        got.task = *t;
}

enum task_reserved task_take_again(struct hold *h)
{
    begin();
    until_came(task_reserve(task_redis, &task_settings, &(struct task_ask){
                                h->task.id, h->entry, h->token, h->consumer, h->alone },
                            on_reserved, NULL));
    ck_assert_int_eq(got.code, ERR_OK);
    if (got.reserved == TASK_RESERVED || got.reserved == TASK_POISON)
        h->task = got.task;
    return got.reserved;
}

enum task_reserved task_take_entry(const char *consumer, const char *id, const char *entry,
                                   struct hold *h)
{
    *h = (struct hold){ .consumer = consumer };
    snprintf(h->task.id, sizeof h->task.id, "%s", id);
    snprintf(h->entry, sizeof h->entry, "%s", entry);
    text_random_hex(h->token, (TASK_TOKEN_SIZE - 1) / 2);
    return task_take_again(h);
}

enum task_reserved task_take(const char *consumer, struct hold *h)
{
    const char *entry = task_read(consumer);
    const char *said = task_ask("XRANGE c1:tasks:stream %s %s", entry, entry);

    ck_assert_msg(*entry, "nothing in the stream");
    return task_take_entry(consumer, strrchr(said, '\n') + 1, entry, h);
}

static void on_fenced(void *arg, bool held, const struct err *e)
{
    (void)arg;
    got.came = true;
    got.held = held;
    got.code = e ? e->code : ERR_OK;
}

static struct task_hold hold_of(const struct hold *h)
{
    begin();
    return (struct task_hold){ &h->task, h->token, h->consumer };
}

static bool held(const struct task_call *c)
{
    until_came(c);
    ck_assert_int_eq(got.code, ERR_OK);
    return got.held;
}

bool hold_renew(const struct hold *h)
{
    struct task_hold th = hold_of(h);

    return held(task_renew(task_redis, &task_settings, &th, on_fenced, NULL));
}

bool hold_record(const struct hold *h, const char *document)
{
    struct task_hold th = hold_of(h);

    return held(task_record(task_redis, &task_settings, &th, "google", document, on_fenced, NULL));
}

bool hold_finish(const struct hold *h, const char *document)
{
    struct task_hold th = hold_of(h);

    return held(task_finish(task_redis, &task_settings, &th, "google", document, on_fenced, NULL));
}

bool hold_postpone(const struct hold *h, int64_t delay_ms, bool counts, const char *code)
{
    struct task_hold th = hold_of(h);

    return held(task_postpone(task_redis, &task_settings, &th, delay_ms, counts, code, "why", on_fenced, NULL));
}

enum paused hold_pause(const struct hold *h, const char *code)
{
    struct task_hold th = hold_of(h);

    until_came(task_pause(task_redis, &task_settings, &th, code, "why", on_fenced, NULL));
    ck_assert(got.code == ERR_OK || got.code == ERR_TASK_STATE);
    return got.code ? PAUSE_OWN : got.held ? PAUSE_HELD : PAUSE_LOST;
}

bool hold_fail(const struct hold *h, const char *code, const char *detail)
{
    struct task_hold th = hold_of(h);

    return held(task_fail(task_redis, &task_settings, &th, code, detail, on_fenced, NULL));
}

void task_lease_passes(const char *id)
{
    task_expect("0", "HSET c1:task:%s un 1", id);
}

static int64_t counted(const struct task_call *c)
{
    until_came(c);
    ck_assert_int_eq(got.code, ERR_OK);
    return got.count;
}

int64_t queue_wake_due(void)
{
    begin();
    return counted(task_wake_due(task_redis, &task_settings, on_count, NULL));
}

int64_t queue_forget_consumers(int64_t idle_ms)
{
    begin();
    return counted(task_forget_consumers(task_redis, idle_ms, on_count, NULL));
}

static void on_page(void *arg, int64_t count, const char *next, const struct err *e)
{
    on_count(arg, count, e);
    snprintf(got.cursor, sizeof got.cursor, "%s", next);
}

int64_t queue_reconcile(void)
{
    return queue_reconcile_unless(0);
}

int64_t queue_reconcile_unless(int64_t lately_ms)
{
    char cursor[sizeof got.cursor] = "";
    int64_t added = 0;

    do {
        begin();
        added += counted(task_reconcile(task_redis, cursor, lately_ms, on_page, NULL));
        strcpy(cursor, got.cursor);
    } while (*cursor);
    return added;
}

int64_t queue_sweep_index(void)
{
    char cursor[sizeof got.cursor] = "";
    int64_t gone = 0;

    do {
        begin();
        gone += counted(task_sweep_index(task_redis, &task_settings, cursor, on_page, NULL));
        strcpy(cursor, got.cursor);
    } while (*cursor);
    return gone;
}

int64_t queue_hold(bool pause)
{
    begin();
    return counted(task_hold_queue(task_redis, pause, "because", on_count, NULL));
}

int64_t queue_budget(int64_t per_minute)
{
    begin();
    return counted(task_budget(task_redis, per_minute, on_count, NULL));
}

bool queue_sweep_document(const char *task_id, const char *document)
{
    begin();
    return counted(task_sweep_document(task_redis, task_id, document, on_count, NULL));
}

static struct task_queue_state state;

static void on_state(void *arg, const struct task_queue_state *s, const struct err *e)
{
    on_count(arg, 0, e);
    if (s)
        state = *s;
}

struct task_queue_state queue_state(void)
{
    begin();
    counted(task_queue_state(task_redis, on_state, NULL));
    return state;
}

/* --- calls of task_admin.h --- */

static struct task_page page;

static void on_listed(void *arg, const struct task *tasks, size_t count, const char *next,
                      const struct err *e)
{
    struct buf ids;

    on_count(arg, (int64_t)count, e);
    page.count = count;
    snprintf(page.next, sizeof page.next, "%s", next);
    buf_init(&ids, 65536);
    buf_adds(&ids, "");
    for (size_t i = 0; i < count; i++)
        buf_addf(&ids, "%s,", tasks[i].id);
    page.ids = keep(strdup(ids.len ? ids.data : ""));
    buf_close(&ids);
}

struct task_page task_page(int status, const char *session, int limit, const char *cursor)
{
    struct task_query q = { .tenant = "default", .status = status, .session = session,
                            .session_len = session ? strlen(session) : 0, .cursor = cursor,
                            .limit = limit };

    begin();
    until_came(task_list(task_redis, &q, on_listed, NULL));
    page.code = got.code;
    return page;
}

static void on_changed(void *arg, const struct err *e)
{
    on_count(arg, 0, e);
}

enum err_code task_do_retry(const char *id)
{
    begin();
    until_came(task_retry(task_redis, "default", id, on_changed, NULL));
    return got.code;
}

enum err_code task_do_remove(const char *id, enum task_removal what)
{
    begin();
    until_came(task_remove(task_redis, &task_settings, "default", id, what, on_changed, NULL));
    return got.code;
}
