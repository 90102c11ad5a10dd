#include "jobrunner/tidy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/chat/task_queue.h"

enum {
    WAKE_MS = 1000,                         /* between looks for due tasks */
    RECONCILE_MS = 60 * 1000,
    LATELY_MS = 50 * 1000,                  /* another runner has begun: it does it for all */
    PAGE_PAUSE_MS = 5,                      /* Redis has other things to do as well */
    RETRY_MS = 1000,                        /* after a fault of Redis */
    CONSUMER_GONE_MS = 60 * 60 * 1000,
};

struct tidy {
    struct loop      *loop;                 /* borrowed */
    struct redis     *redis;                /* borrowed */
    const struct settings *settings;        /* borrowed */
    struct timer      wake_timer, reconcile_timer;
    struct task_call *waking, *reconciling; /* under way, or NULL */
    bool              at_once;              /* the next pass begins whatever others do */
    int64_t           added;                /* in this pass */
    char              cursor[TASK_CURSOR_OF_ALL_SIZE];  /* in the indexes of open tasks */
    char              sweep[TASK_CURSOR_OF_ALL_SIZE];   /* in those of all */
};

static void wake(void *arg);
static void reconcile(void *arg);

struct tidy *tidy_new(struct loop *l, struct redis *r, const struct settings *s)
{
    struct tidy *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->loop = l;
    t->redis = r;
    t->settings = s;
    timer_init(&t->wake_timer, l, wake, t);
    timer_init(&t->reconcile_timer, l, reconcile, t);
    timer_set(&t->wake_timer, 0);
    tidy_reconnected(t);
    return t;
}

void tidy_free(struct tidy *t)
{
    if (!t)
        return;
    timer_stop(&t->wake_timer);
    timer_stop(&t->reconcile_timer);
    task_call_cancel(t->waking);
    task_call_cancel(t->reconciling);
    free(t);
}

void tidy_reconnected(struct tidy *t)
{
    t->at_once = true;
    if (t->reconciling)
        return;
    t->cursor[0] = '\0';
    timer_set(&t->reconcile_timer, 0);
}

/* --- due tasks --- */

static void on_woken(void *arg, int64_t count, const struct err *e)
{
    struct tidy *t = arg;

    t->waking = NULL;
    if (e && e->code != ERR_STORE)
        log_error(NULL, "tidy waking=failed words=\"%s\"", e->detail);
    timer_set(&t->wake_timer, count == TASK_WAKE_MAX ? 0 : WAKE_MS);
}

static void wake(void *arg)
{
    struct tidy *t = arg;

    t->waking = task_wake_due(t->redis, t->settings, on_woken, t);
    if (!t->waking)
        timer_set(&t->wake_timer, WAKE_MS);
}

/* --- lost tasks, page by page, expired ones likewise, then forgotten consumers --- */

static void on_forgotten(void *arg, int64_t count, const struct err *e)
{
    struct tidy *t = arg;

    t->reconciling = NULL;
    if (!e && count > 0)
        log_info(NULL, "tidy forgotten_consumers=%" PRId64, count);
    timer_set(&t->reconcile_timer, e ? RETRY_MS : RECONCILE_MS);
}

static void forget_consumers(struct tidy *t)
{
    t->reconciling = task_forget_consumers(t->redis, CONSUMER_GONE_MS, on_forgotten, t);
    if (!t->reconciling)
        timer_set(&t->reconcile_timer, RETRY_MS);
}

static void sweep(struct tidy *t);

static void on_swept(void *arg, int64_t gone, const char *next, const struct err *e)
{
    struct tidy *t = arg;

    t->reconciling = NULL;
    if (gone > 0)
        log_debug(NULL, "tidy expired=%" PRId64, gone);
    snprintf(t->sweep, sizeof t->sweep, "%s", next);
    if (!e && *next)
        sweep(t);
    else
        forget_consumers(t);
}

static void sweep(struct tidy *t)
{
    t->reconciling = task_sweep_index(t->redis, t->settings, t->sweep, on_swept, t);
    if (!t->reconciling)
        timer_set(&t->reconcile_timer, RETRY_MS);
}

static void pass_ended(struct tidy *t)
{
    if (t->added > 0)
        log_warn(NULL, "tidy readded=%" PRId64 " words=\"the stream had lost open tasks\"",
                 t->added);
    t->added = 0;
    t->sweep[0] = '\0';
    if (t->settings->tasks.ttl > 0)
        sweep(t);
    else
        forget_consumers(t);
}

static void on_reconciled(void *arg, int64_t added, const char *next, const struct err *e)
{
    struct tidy *t = arg;

    t->reconciling = NULL;
    if (e) {
        if (e->code != ERR_STORE)
            log_error(NULL, "tidy reconcile=failed words=\"%s\"", e->detail);
        timer_set(&t->reconcile_timer, RETRY_MS);
        return;
    }
    t->at_once = false;
    t->added += added;
    snprintf(t->cursor, sizeof t->cursor, "%s", next);
    if (*next)
        timer_set(&t->reconcile_timer, PAGE_PAUSE_MS);
    else
        pass_ended(t);
}

static void reconcile(void *arg)
{
    struct tidy *t = arg;

    t->reconciling = task_reconcile(t->redis, t->cursor, t->at_once ? 0 : LATELY_MS, on_reconciled,
                                    t);
    if (!t->reconciling)
        timer_set(&t->reconcile_timer, RETRY_MS);
}
