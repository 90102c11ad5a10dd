#include "jobrunner/lease.h"

#include "lib/base/clock.h"

enum { SOON_MS = 500 };         /* until the next try while Redis is away */

static void renew(void *arg);
static void step(void *arg);

static int64_t whole(const struct lease *l)
{
    return l->settings->tasks.lease;
}

void lease_init(struct lease *l, struct loop *loop, struct redis *r, const struct settings *s,
                const struct log *log, const struct task_hold *hold, int64_t asked_at,
                loop_fn *on_lost, void *arg)
{
    *l = (struct lease){ .redis = r, .settings = s, .log = log, .hold = *hold,
                         .on_lost = on_lost, .arg = arg, .end = asked_at + s->tasks.lease };
    timer_init(&l->timer, loop, renew, l);
    timer_init(&l->again, loop, step, l);
    timer_set(&l->timer, whole(l) / 3);
}

void lease_close(struct lease *l)
{
    timer_stop(&l->timer);
    timer_stop(&l->again);
    task_call_cancel(l->renewal);
    task_call_cancel(l->recording);
    l->renewal = l->recording = NULL;
    l->on_ready = NULL;
}

/* Another has the task, or nobody may. */
static void lost(struct lease *l, const struct err *e)
{
    if (e)
        log_error(l->log, "lease broken words=\"%s\"", e->detail);
    lease_close(l);
    l->on_lost(l->arg);
}

/* --- renewal --- */

/* Who waits for more time than there was looks again. */
static void on_renewed(void *arg, bool held, const struct err *e)
{
    struct lease *l = arg;
    int64_t third = whole(l) / 3;

    l->renewal = NULL;
    if (e && e->code == ERR_STORE) {
        timer_set(&l->timer, SOON_MS < third ? SOON_MS : third);
        return;
    }
    if (e || !held) {
        lost(l, e);
        return;
    }
    l->end = l->sent + whole(l);
    timer_set(&l->timer, third);
    if (l->on_ready && !l->recording)
        timer_set(&l->again, 0);
}

static void renew(void *arg)
{
    struct lease *l = arg;

    l->sent = clock_ms();
    l->renewal = task_renew(l->redis, l->settings, &l->hold, on_renewed, l);
    if (!l->renewal)
        timer_set(&l->timer, SOON_MS);
}

void lease_renew(struct lease *l)
{
    if (timer_running(&l->timer))
        timer_set(&l->timer, 0);
}

/* --- steps --- */

void lease_step(struct lease *l, int64_t ms, const char *store, const char *document,
                loop_fn *on_ready)
{
    l->needed_ms = ms;
    l->store = store;
    l->document = document;
    l->on_ready = on_ready;
    step(l);
}

static void on_recorded(void *arg, bool held, const struct err *e)
{
    struct lease *l = arg;

    l->recording = NULL;
    if (e && e->code == ERR_STORE) {
        timer_set(&l->again, SOON_MS);
        return;
    }
    if (e || !held) {
        lost(l, e);
        return;
    }
    if (l->end < l->record_sent + whole(l))
        l->end = l->record_sent + whole(l);
    l->document = NULL;
    step(l);
}

/* The settings keep the lease longer than any step; should one not fit, a fresh lease has to do. */
static bool covers_the_step(const struct lease *l)
{
    int64_t fresh = whole(l) * 9 / 10;

    return l->end - clock_ms() > (l->needed_ms < fresh ? l->needed_ms : fresh);
}

static void step(void *arg)
{
    struct lease *l = arg;
    loop_fn *on_ready = l->on_ready;

    if (l->document) {
        l->record_sent = clock_ms();
        l->recording = task_record(l->redis, l->settings, &l->hold, l->store, l->document,
                                   on_recorded, l);
        if (!l->recording)
            timer_set(&l->again, SOON_MS);
    } else if (covers_the_step(l)) {
        l->on_ready = NULL;
        on_ready(l->arg);
    } else {
        lease_renew(l);     /* and on_renewed comes back here */
    }
}
