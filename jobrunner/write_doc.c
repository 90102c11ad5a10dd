/* A task from its stream entry to its settlement.
 *
 *   RESERVE -> READ -> WRITE -> (CHECKPOINT -> PROCEED)* -> SETTLE -> done
 *
 * A fault of Redis repeats the state, however long it lasts. A fault of the dialog or of the store
 * goes to SETTLE, which postpones or fails the task, or pauses the queue. Who finds its lease lost,
 * or that there is nothing to do, goes straight to the end. */
#include "jobrunner/write_doc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/chat/task_work.h"

#include "jobrunner/dialog_read.h"
#include "jobrunner/lease.h"
#include "jobrunner/retry.h"

enum {
    HTML_MAX = 64 << 20,
    PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 2000,    /* between tries while Redis is away */
};

enum state { RESERVE, READ, WRITE, CHECKPOINT, PROCEED, SETTLE };

/* What SETTLE is to do. */
enum outcome { UNDECIDED, FINISH, FAIL, POSTPONE, PAUSE, HAND_BACK };

struct write_doc {
    enum state                   state;
    const struct write_doc_deps *deps;          /* borrowed */
    struct log                   log;
    write_doc_fn                *on_end;
    void                        *arg;
    int64_t                      began_at;      /* clock_ms */

    struct timer                 again;         /* repeats the state */
    int64_t                      pause;
    struct task_call            *call;          /* of RESERVE and SETTLE */
    const struct session_page   *begun;         /* of the dialog, borrowed: while READ begins */
    struct dialog_read          *reading;       /* of READ */
    struct store_op             *op;            /* from WRITE to PROCEED */

    char                         entry[48];
    bool                         alone, suspect;
    char                         token[TASK_TOKEN_SIZE];
    int64_t                      asked_at;      /* clock_ms: when the reservation was sent */
    struct task                  task;          /* only its id until it is reserved */
    struct lease                 lease;         /* from READ to PROCEED */

    struct dialog_pages          pages;
    struct store_job             job;           /* borrows from task and pages */
    char                         document[sizeof ((struct task *)0)->document];
    int64_t                      step_ms;       /* what the store's next step may take */

    enum outcome                 outcome;
    int64_t                      delay_ms;
    bool                         counts;
    char                         code[sizeof ((struct task *)0)->error_code];
    char                         detail[sizeof ((struct task *)0)->error_detail];
};

/* In the order in which they run. */
static void reserve(struct write_doc *w);
static void on_reserved(void *arg, enum task_reserved what, const struct task *t,
                        const struct session_page *begun, const struct err *e);
static void read_dialog(struct write_doc *w);
static void on_read(void *arg, const struct dialog_fault *f);
static void write_out(struct write_doc *w);
static void on_checkpoint(void *arg, const char *document, int64_t ms);
static void checkpoint(struct write_doc *w);
static void on_covered(void *arg);
static void proceed(struct write_doc *w);
static void on_written(void *arg, enum store_verdict verdict, const char *document,
                       const struct err *e);
static void settle(struct write_doc *w);
static void on_settled(void *arg, bool held, const struct err *e);
static void done(struct write_doc *w);

static const struct { const char *name; void (*run)(struct write_doc *w); } states[] = {
    [RESERVE] = { "reserve", reserve },          [READ] = { "read", read_dialog },
    [WRITE] = { "write", write_out },            [CHECKPOINT] = { "checkpoint", checkpoint },
    [PROCEED] = { "proceed", proceed },          [SETTLE] = { "settle", settle },
};

/* The only place that changes the state. w may be gone when this returns, so a call to it is
 * the last thing its caller does. */
static void enter(struct write_doc *w, enum state next)
{
    if (next != w->state)
        log_debug(&w->log, "%s -> %s", states[w->state].name, states[next].name);
    w->state = next;
    w->pause = PAUSE_MIN_MS;
    states[next].run(w);
}

static void on_again(void *arg)
{
    struct write_doc *w = arg;

    states[w->state].run(w);
}

/* The state once more, a little later each time. */
static void again(struct write_doc *w)
{
    timer_set(&w->again, w->pause);
    w->pause = w->pause * 2 < PAUSE_MAX_MS ? w->pause * 2 : PAUSE_MAX_MS;
}

/* Drops whatever is under way. */
static void stop_work(struct write_doc *w)
{
    timer_stop(&w->again);
    lease_close(&w->lease);
    task_call_cancel(w->call);
    dialog_read_cancel(w->reading);
    store_cancel(w->op);
    w->call = NULL;
    w->reading = NULL;
    w->op = NULL;
    buf_close(&w->pages.html);
}

struct write_doc *write_doc_start(const struct write_doc_deps *d, const struct write_doc_job *job,
                                  write_doc_fn *fn, void *arg)
{
    struct write_doc *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->deps = d;
    w->on_end = fn;
    w->arg = arg;
    w->began_at = clock_ms();
    w->alone = job->alone;
    snprintf(w->task.id, sizeof w->task.id, "%s", job->task_id);
    snprintf(w->entry, sizeof w->entry, "%s", job->entry);
    log_prefix(&w->log, "task=%s", w->task.id);
    text_random_hex(w->token, (TASK_TOKEN_SIZE - 1) / 2);
    timer_init(&w->again, d->loop, on_again, w);
    buf_init(&w->pages.html, HTML_MAX);
    w->pages.page_max = store_page_max(d->store);
    enter(w, RESERVE);
    return w;
}

void write_doc_free(struct write_doc *w)
{
    if (!w)
        return;
    stop_work(w);
    free(w);
}

/* --- the ends other than settlement --- */

static void done(struct write_doc *w)
{
    write_doc_fn *fn = w->on_end;
    void *arg = w->arg;
    bool suspect = w->suspect;

    write_doc_free(w);
    fn(arg, suspect);
}

/* Another runner has the task, or nobody may: what we know of it is old. */
static void on_lost(void *arg)
{
    struct write_doc *w = arg;

    log_warn(&w->log, "task lost state=%s ms=%" PRId64 " words=\"the lease is another's now\"",
             states[w->state].name, clock_ms() - w->began_at);
    done(w);
}

/* --- the ways to SETTLE --- */

static void put(char *to, size_t size, const char *text)
{
    if (text != to)
        snprintf(to, size, "%.*s", (int)size - 1, text);
}

static void fault(struct write_doc *w, enum store_verdict verdict, const char *code,
                  const char *words, int retry_after)
{
    struct retry r = retry_decide(w->deps->settings, &w->task, verdict, retry_after);

    w->outcome = r.give_up ? FAIL : r.pause ? PAUSE : POSTPONE;
    w->delay_ms = r.delay_ms;
    w->counts = r.counts;
    put(w->code, sizeof w->code, code ? code : r.code);
    put(w->detail, sizeof w->detail, words);
    enter(w, SETTLE);
}

void write_doc_hand_back(struct write_doc *w)
{
    if (w->outcome != UNDECIDED)
        return;
    w->outcome = HAND_BACK;
    if (w->state != RESERVE)        /* else it goes there once it has become ours */
        enter(w, SETTLE);
}

/* --- RESERVE: the task becomes ours --- */

static struct task_hold hold_of(const struct write_doc *w)
{
    return (struct task_hold){ &w->task, w->token, w->deps->consumer };
}

static void reserve(struct write_doc *w)
{
    const struct write_doc_deps *d = w->deps;

    w->asked_at = clock_ms();
    w->call = task_reserve(d->redis, d->settings, &(struct task_ask){
                               w->task.id, w->entry, w->token, d->consumer, w->alone },
                           on_reserved, w);
    if (!w->call)
        again(w);
}

/* The next one would die of it as well. */
static void poison(struct write_doc *w)
{
    w->outcome = FAIL;
    put(w->code, sizeof w->code, "poison");
    put(w->detail, sizeof w->detail, "The runner died each time it wrote this dialog, at last with "
        "nothing else in flight.");
    enter(w, SETTLE);
}

static void on_reserved(void *arg, enum task_reserved what, const struct task *t,
                        const struct session_page *begun, const struct err *e)
{
    struct write_doc *w = arg;
    const struct write_doc_deps *d = w->deps;
    struct task_hold hold = hold_of(w);

    w->call = NULL;
    if (e && e->code == ERR_STORE) {
        again(w);
        return;
    }
    if (e)
        log_error(&w->log, "task unreadable words=\"%s\"", e->detail);
    if (e || !t) {
        w->suspect = what == TASK_SUSPECT && !e;
        done(w);
        return;
    }
    w->task = *t;
    if (what == TASK_POISON) {
        poison(w);
        return;
    }
    if (w->outcome == HAND_BACK) {
        enter(w, SETTLE);
        return;
    }
    lease_init(&w->lease, d->loop, d->redis, d->settings, &w->log, &hold, w->asked_at, on_lost, w);
    w->begun = begun;
    enter(w, READ);
}

void write_doc_renew(struct write_doc *w)
{
    lease_renew(&w->lease);
}

/* --- READ: the dialog becomes a page --- */

static void read_dialog(struct write_doc *w)
{
    const struct session_page *begun = w->begun;

    w->begun = NULL;
    w->reading = dialog_read(w->deps->loop, w->deps->sessions, &w->task, begun, &w->pages, on_read,
                             w);
    if (!w->reading)
        again(w);
}

static void on_read(void *arg, const struct dialog_fault *f)
{
    struct write_doc *w = arg;

    w->reading = NULL;
    if (f) {
        fault(w, f->passing ? STORE_TRY_AGAIN : STORE_IMPOSSIBLE, f->code, f->words, 0);
        return;
    }
    w->job = (struct store_job){ .task_id = w->task.id, .name = w->task.session,
                                 .document = w->task.document,
                                 .html = w->pages.html.data,
                                 .html_len = w->pages.html.len,
                                 .page_ends = w->pages.ends, .pages = w->pages.count };
    enter(w, WRITE);
}

/* --- WRITE: into the store, which stops at a checkpoint before each of its steps --- */

static void write_out(struct write_doc *w)
{
    static const struct store_handlers on = { on_checkpoint, on_written };

    w->op = store_write(w->deps->store, &w->job, &on, w);
    if (!w->op)
        again(w);
}

static void on_checkpoint(void *arg, const char *document, int64_t ms)
{
    struct write_doc *w = arg;

    w->step_ms = ms;
    put(w->document, sizeof w->document, document ? document : "");
    enter(w, CHECKPOINT);
}

/* A new document is recorded before it is filled, and no step begins that could outlast the
 * lease. */
static void checkpoint(struct write_doc *w)
{
    lease_step(&w->lease, w->step_ms, store_name(w->deps->store),
               *w->document ? w->document : NULL, on_covered);
}

static void on_covered(void *arg)
{
    enter(arg, PROCEED);
}

static void proceed(struct write_doc *w)
{
    store_proceed(w->op);
}

static void on_written(void *arg, enum store_verdict verdict, const char *document,
                       const struct err *e)
{
    struct write_doc *w = arg;

    w->op = NULL;
    if (verdict != STORE_OK) {
        fault(w, verdict, NULL, e ? e->detail : "", e ? e->retry_after : 0);
        return;
    }
    w->outcome = FINISH;
    put(w->document, sizeof w->document, document);
    enter(w, SETTLE);
}

/* --- SETTLE: repeated until Redis has answered --- */

static void settle(struct write_doc *w)
{
    const struct write_doc_deps *d = w->deps;
    struct task_hold hold = hold_of(w);

    stop_work(w);
    switch (w->outcome) {
    case FINISH:
        w->call = task_finish(d->redis, d->settings, &hold, store_name(d->store), w->document,
                              on_settled, w);
        break;
    case FAIL:
        w->call = task_fail(d->redis, d->settings, &hold, w->code, w->detail, on_settled, w);
        break;
    case POSTPONE:
        w->call = task_postpone(d->redis, d->settings, &hold, w->delay_ms, w->counts, w->code,
                                w->detail, on_settled, w);
        break;
    case PAUSE:
        w->call = task_pause(d->redis, d->settings, &hold, w->code, w->detail, on_settled, w);
        break;
    default:
        w->call = task_postpone(d->redis, d->settings, &hold, 0, false, "", "", on_settled, w);
    }
    if (!w->call)
        again(w);
}

static void log_outcome(const struct write_doc *w)
{
    int64_t ms = clock_ms() - w->began_at, attempt = w->task.attempts;

    switch (w->outcome) {
    case FINISH:
        log_info(&w->log, "task finished store=%s turns=%" PRId64 " attempt=%" PRId64
                 " ms=%" PRId64, store_name(w->deps->store), w->task.turns, attempt, ms);
        break;
    case FAIL:
        log_error(&w->log, "task failed code=%s attempt=%" PRId64 " ms=%" PRId64 " words=\"%s\"",
                  w->code, attempt, ms, w->detail);
        break;
    case POSTPONE:
        log_warn(&w->log, "task postponed code=%s attempt=%" PRId64 " counts=%d retry_ms=%" PRId64
                 " ms=%" PRId64 " words=\"%s\"", w->code, attempt, w->counts, w->delay_ms, ms,
                 w->detail);
        break;
    case PAUSE:
        log_error(&w->log, "queue paused=yes code=%s ms=%" PRId64 " words=\"%s\"", w->code, ms,
                  w->detail);
        break;
    default:
        log_info(&w->log, "task handed back ms=%" PRId64, ms);
    }
}

static void on_settled(void *arg, bool held, const struct err *e)
{
    struct write_doc *w = arg;

    w->call = NULL;
    if (e && e->code == ERR_STORE) {
        again(w);
    } else if (e && e->code == ERR_TASK_STATE) {    /* the queue goes well without this one */
        fault(w, STORE_TRY_AGAIN, w->code, w->detail, 0);
    } else if (e) {     /* left to its lease: another try follows */
        log_error(&w->log, "task unsettled words=\"%s\"", e->detail);
        done(w);
    } else if (!held) {
        on_lost(w);
    } else {
        log_outcome(w);
        done(w);
    }
}
