#include "jobrunner/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

#include "jobrunner/doorbell.h"
#include "jobrunner/tidy.h"
#include "jobrunner/write_doc.h"

enum {
    PULSE_MS = 1000,
    HAND_BACK_MS = 3000,        /* for handing back, when stopping has taken too long */
};

enum phase { WORKING, STOPPING, HANDING_BACK, STOPPED };

/* What the stream said. */
struct entry { char task[KEYS_TASK_MAX + 1], id[48]; };

/* A place for one task. */
struct flight {
    struct runner    *runner;
    struct write_doc *work;             /* owned; NULL: free */
    struct entry      entry;
};

struct runner {
    struct runner_deps    deps;
    char                  consumer[160];
    struct write_doc_deps work;         /* what each task gets */
    struct doorbell      *doorbell;
    struct tidy          *tidy;
    struct flight        *flights;
    size_t                places, in_flight;
    /* Tasks that were in flight in two crashes: their entries are ours, and they wait until
     * each can run alone. Meanwhile nothing else is begun. */
    struct entry         *suspects;     /* as many as there are places; the first runs next */
    size_t                suspect_count;
    bool                  isolated;     /* what is in flight is the first of them, alone */
    struct timer          pulse;

    enum phase            phase;
    bool                  silent;       /* the doorbell is, after we stopped it */
    struct timer          stop_timer;
    loop_fn              *on_stopped;
    void                 *stopped_arg;
};

static void see_whether_stopped(struct runner *r);

/* --- a sign of life: the loop of reads has turned --- */

static void on_turn(void *arg)
{
    struct runner *r = arg;

    if (r->deps.slot)
        r->deps.slot->turned_at = clock_wall_ms();
}

static size_t places(void *arg);

/* Neither with all places taken nor while stopping is anything read, which is no standstill. */
static void pulse(void *arg)
{
    struct runner *r = arg;

    if (places(r) == 0 || r->phase != WORKING)
        on_turn(r);
    timer_set(&r->pulse, PULSE_MS);
}

/* --- tasks in their places --- */

static size_t places(void *arg)
{
    struct runner *r = arg;

    return r->suspect_count ? 0 : r->places - r->in_flight;
}

static void count_in_flight(struct runner *r, int change)
{
    r->in_flight += (size_t)change;
    if (!r->deps.slot)
        return;
    r->deps.slot->active = r->in_flight;
    r->deps.slot->counts.requests += change > 0;
}

static void on_end(void *arg, bool suspect);

static struct flight *free_flight(struct runner *r)
{
    for (size_t i = 0; i < r->places; i++)
        if (!r->flights[i].work)
            return &r->flights[i];
    return NULL;
}

static bool begin(struct runner *r, const struct write_doc_job *job)
{
    struct flight *f = free_flight(r);

    if (!f || !(f->work = write_doc_start(&r->work, job, on_end, f)))
        return false;
    snprintf(f->entry.task, sizeof f->entry.task, "%s", job->task_id);
    snprintf(f->entry.id, sizeof f->entry.id, "%s", job->entry);
    count_in_flight(r, 1);
    if (r->phase != WORKING)            /* it came after we had said that we stop */
        write_doc_hand_back(f->work);
    return true;
}

/* Without memory for it, its entry stays ours in the stream, and comes again. */
static void isolate_next(struct runner *r)
{
    const struct entry *s = &r->suspects[0];

    log_warn(NULL, "runner isolating task=%s words=\"in flight in two crashes, runs alone\"",
             s->task);
    r->isolated = begin(r, &(struct write_doc_job){ s->task, s->id, true });
    if (!r->isolated)
        r->suspect_count = 0;
}

static void suspect_ended(struct runner *r)
{
    r->isolated = false;
    r->suspect_count--;
    memmove(r->suspects, r->suspects + 1, r->suspect_count * sizeof *r->suspects);
}

static void on_end(void *arg, bool suspect)
{
    struct flight *f = arg;
    struct runner *r = f->runner;

    f->work = NULL;
    count_in_flight(r, -1);
    if (r->isolated)
        suspect_ended(r);
    else if (suspect && r->phase == WORKING)
        r->suspects[r->suspect_count++] = f->entry;
    if (r->suspect_count && !r->in_flight && r->phase == WORKING)
        isolate_next(r);
    doorbell_more(r->doorbell);
    see_whether_stopped(r);
}

static bool is_ours(const struct runner *r, const char *task_id)
{
    for (size_t i = 0; i < r->places; i++)
        if (r->flights[i].work && !strcmp(r->flights[i].entry.task, task_id))
            return true;
    for (size_t i = 0; i < r->suspect_count; i++)
        if (!strcmp(r->suspects[i].task, task_id))
            return true;
    return false;
}

/* An entry without a task is started as well: the attempt to reserve it clears it away. */
static bool on_entry(void *arg, const char *entry, const char *task_id)
{
    struct runner *r = arg;

    if (is_ours(r, task_id))
        return true;
    return r->suspect_count == 0 && begin(r, &(struct write_doc_job){ task_id, entry, false });
}

/* --- Redis comes and goes --- */

static void on_state(void *arg, bool up)
{
    struct runner *r = arg;

    if (!up)
        return;
    for (size_t i = 0; i < r->places; i++)
        if (r->flights[i].work)
            write_doc_renew(r->flights[i].work);
    doorbell_reconnected(r->doorbell);
    if (r->tidy)
        tidy_reconnected(r->tidy);
}

/* --- beginning and end --- */

static void on_silent(void *arg)
{
    struct runner *r = arg;

    r->silent = true;
    see_whether_stopped(r);
}

static void on_stop_timer(void *arg);

static void name_consumer(struct runner *r)
{
    char host[100] = "", salt[9];

    gethostname(host, sizeof host - 1);
    text_random_hex(salt, 4);
    snprintf(r->consumer, sizeof r->consumer, "%s-%ld-%s", host, (long)getpid(), salt);
}

static bool open_parts(struct runner *r)
{
    static const struct doorbell_handlers on = { places, on_entry, on_turn, on_silent };
    const struct runner_deps *d = &r->deps;
    struct doorbell_deps bell = { d->loop, d->settings, d->redis, d->reader, r->consumer };

    r->flights = calloc(r->places, sizeof *r->flights);
    r->suspects = calloc(r->places, sizeof *r->suspects);
    r->doorbell = doorbell_new(&bell, &on, r);
    r->tidy = tidy_new(d->loop, d->redis, d->settings);
    for (size_t i = 0; r->flights && i < r->places; i++)
        r->flights[i].runner = r;
    return r->flights && r->suspects && r->doorbell && r->tidy;
}

struct runner *runner_new(const struct runner_deps *d)
{
    struct runner *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->deps = *d;
    r->places = (size_t)d->settings->tasks.concurrency;
    name_consumer(r);
    r->work = (struct write_doc_deps){ d->loop, d->settings, d->redis, d->sessions, d->store,
                                       r->consumer };
    timer_init(&r->pulse, d->loop, pulse, r);
    timer_init(&r->stop_timer, d->loop, on_stop_timer, r);
    if (!open_parts(r)) {
        runner_free(r);
        return NULL;
    }
    redis_on_state(d->redis, on_state, r);
    pulse(r);
    return r;
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    redis_on_state(r->deps.redis, NULL, NULL);
    timer_stop(&r->pulse);
    timer_stop(&r->stop_timer);
    for (size_t i = 0; r->flights && i < r->places; i++)
        write_doc_free(r->flights[i].work);
    doorbell_free(r->doorbell);
    tidy_free(r->tidy);
    free(r->suspects);
    free(r->flights);
    free(r);
}

void runner_stop(struct runner *r, loop_fn *on_stopped, void *arg)
{
    if (r->phase != WORKING)
        return;
    log_info(NULL, "runner stopping in_flight=%zu", r->in_flight);
    r->phase = STOPPING;
    r->on_stopped = on_stopped;
    r->stopped_arg = arg;
    tidy_free(r->tidy);
    r->tidy = NULL;
    timer_set(&r->stop_timer, r->deps.settings->tasks.stop_timeout);
    doorbell_stop(r->doorbell);
}

static void see_whether_stopped(struct runner *r)
{
    if ((r->phase != STOPPING && r->phase != HANDING_BACK) || !r->silent || r->in_flight > 0)
        return;
    r->phase = STOPPED;
    timer_set(&r->stop_timer, 0);
}

static void hand_all_back(struct runner *r)
{
    log_warn(NULL, "runner handing back in_flight=%zu", r->in_flight);
    r->phase = HANDING_BACK;
    timer_set(&r->stop_timer, HAND_BACK_MS);
    for (size_t i = 0; i < r->places; i++)
        if (r->flights[i].work)
            write_doc_hand_back(r->flights[i].work);
}

static void on_stop_timer(void *arg)
{
    struct runner *r = arg;

    if (r->phase == STOPPING) {
        hand_all_back(r);
        return;
    }
    if (r->in_flight > 0)
        log_warn(NULL, "runner leaving in_flight=%zu words=\"taken over when their leases end\"",
                 r->in_flight);
    r->phase = STOPPED;
    r->on_stopped(r->stopped_arg);
}
