#include "tests/unit/runner_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/dialog_html.h"
#include "lib/base/log.h"

struct fake_store fake;
struct machine    machines[2];

/* --- the store --- */

struct fake_op {
    struct store_op        op;          /* first */
    const struct store_job *job;
    struct store_handlers  on;
    void                  *arg;
    struct timer           timer;
    char                   task_id[KEYS_TASK_MAX + 1], document[64];
    bool                   asked;       /* at its checkpoint */
};

static void op_free(struct fake_op *op)
{
    timer_stop(&op->timer);
    for (int i = 0; i < OPS_MAX; i++)
        if (fake.ops[i] == op)
            fake.ops[i] = NULL;
    fake.open--;
    free(op);
}

static void op_end(struct fake_op *op)
{
    struct store_handlers on = op->on;
    void *arg = op->arg;
    char document[64];
    struct err e = { .code = ERR_STORE, .retry_after = fake.retry_after,
                     .detail = "the fake store says so" };

    strcpy(document, op->document);
    op_free(op);
    fake.done++;
    on.on_done(arg, fake.verdict, document, fake.verdict == STORE_OK ? NULL : &e);
}

static void on_fake_timer(void *arg)
{
    struct fake_op *op = arg;

    if (op->asked) {
        op_end(op);
        return;
    }
    op->asked = true;
    op->on.on_checkpoint(op->arg, fake.say_document ? op->document : NULL, fake.step_ms);
}

static struct store_op *fake_write(struct store *s, const struct store_job *job,
                                   const struct store_handlers *on, void *arg)
{
    struct fake_op *op = calloc(1, sizeof *op);
    int i = 0;

    while (fake.ops[i])
        i++;
    fake.ops[i] = op;
    *op = (struct fake_op){ .op.kind = s->kind, .job = job, .on = *on, .arg = arg };
    snprintf(op->task_id, sizeof op->task_id, "%s", job->task_id);
    snprintf(op->document, sizeof op->document, "doc-%.40s", job->task_id);
    snprintf(fake.html, sizeof fake.html, "%.*s", (int)job->html_len, job->html);
    fake.pages = job->pages;
    for (size_t n = 0; n < job->pages; n++)
        fake.page_ends[n] = job->page_ends[n];
    snprintf(fake.known, sizeof fake.known, "%s", job->document);
    timer_init(&op->timer, task_loop, on_fake_timer, op);
    timer_set(&op->timer, 0);
    fake.begun++;
    if (++fake.open > fake.most_open)
        fake.most_open = fake.open;
    return &op->op;
}

static void fake_proceed(struct store_op *op)
{
    fake.proceeded++;
    if (!fake.hold)
        timer_set(&((struct fake_op *)op)->timer, 0);
}

static void fake_cancel(struct store_op *op)
{
    fake.cancelled++;
    op_free((struct fake_op *)op);
}

static int64_t fake_page_max(const struct store *s)
{
    (void)s;
    return fake.page_max;
}

static const struct store_kind fake_kind = {
    .name = "fake", .write = fake_write, .proceed = fake_proceed, .cancel = fake_cancel,
    .page_max = fake_page_max,
};

void fake_release(void)
{
    fake.hold = false;
    for (int i = 0; i < OPS_MAX; i++)
        if (fake.ops[i] && fake.ops[i]->asked)
            timer_set(&fake.ops[i]->timer, 0);
}

/* --- runners --- */

static struct redis *connect_redis(const char *name)
{
    struct redis_options o = { .url = support_redis_url(task_server), .connect_timeout = 2000,
                               .timeout = 2000, .name = name };
    struct err e = ERR_NONE;
    struct redis *r;

    ck_assert(redis_new(task_loop, &o, &r, &e) == ERR_OK);
    return r;
}

void machine_start(struct machine *m)
{
    m->redis = connect_redis("runner");
    m->reader = connect_redis("reader");
    m->sessions = sessions_new(task_loop, m->redis, NULL, &task_settings);
    m->runner = runner_new(&(struct runner_deps){
        .loop = task_loop, .settings = &task_settings, .redis = m->redis, .reader = m->reader,
        .sessions = m->sessions, .store = &fake.store, .slot = &m->slot });
    ck_assert_ptr_nonnull(m->runner);
}

void machine_kill(struct machine *m)
{
    runner_free(m->runner);
    sessions_free(m->sessions);
    redis_free(m->reader);
    redis_free(m->redis);
    *m = (struct machine){ 0 };
}

static void on_stopped(void *arg)
{
    struct machine *m = arg;

    m->stopped++;
}

void machine_stop(struct machine *m)
{
    runner_stop(m->runner, on_stopped, m);
    ck_assert_msg(!m->stopped, "called back before the call had returned");
}

void runner_setup(void)
{
    task_setup();
    dialog_html_init();
    log_init("test", LOG_LEVEL_ERROR + 1);
    memset(&fake, 0, sizeof fake);
    fake.store.kind = &fake_kind;
    fake.say_document = true;
    fake.step_ms = 1000;
    task_dialog("s", 3);
}

void runner_teardown(void)
{
    for (size_t i = 0; i < 2; i++)
        machine_kill(&machines[i]);
    task_teardown();
}

/* --- conditions to wait for --- */

struct wanted { const char *id, *field, *value; };

static bool field_is(void *arg)
{
    const struct wanted *w = arg;
    char *is = support_redis_ask(task_server, "HGET c1:task:%s %s", w->id, w->field);
    bool same = !strcmp(is, w->value);

    free(is);
    return same;
}

void until_field(const char *id, const char *field, const char *value)
{
    support_until_true(task_loop, field_is, &(struct wanted){ id, field, value });
}

void until_status(const char *id, enum task_status status)
{
    until_field(id, "st", task_status_name(status));
}

static bool reads(void *arg)
{
    struct support_redis *r = arg;
    char *clients = support_redis_ask(r, "CLIENT LIST");
    bool waits = strstr(clients, "name=reader") && strstr(clients, "cmd=xreadgroup");

    free(clients);
    return waits;
}

void until_it_reads(void)
{
    support_until_true(task_loop, reads, task_server);
}
