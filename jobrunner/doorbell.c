#include "jobrunner/doorbell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/chat/keys.h"
#include "lib/chat/task_queue.h"

enum {
    BLOCK_MS = 2000,            /* a read waits so long for new entries */
    AGAIN_MS = 250,             /* after a fault */
    ENTRY_SIZE = 48,
};

#define NEW_ENTRIES ">"
#define FIRST_ENTRY "0-0"

struct doorbell {
    struct doorbell_deps     deps;
    struct doorbell_handlers on;
    void                    *arg;
    bool                     stopping;
    struct timer             silent;

    /* One of these four is under way, or none when there are no places. */
    struct timer             read_again;
    struct task_call        *grouping;
    struct redis_call       *asking_id;
    struct redis_call       *reading;
    char                     from[ENTRY_SIZE];  /* NEW_ENTRIES, or where our own go on */

    int64_t                  reader_id;     /* the server's name of the reader's connection */
    struct redis_call       *unblocking;

    struct redis_call       *claiming;
    struct timer             claim_timer;
    char                     claim_from[ENTRY_SIZE];    /* FIRST_ENTRY: all were seen */
};

static void read_next(struct doorbell *b);

static void see_whether_silent(struct doorbell *b)
{
    if (b->stopping && !b->reading && !b->claiming)
        timer_set(&b->silent, 0);
}

static void on_silent(void *arg)
{
    struct doorbell *b = arg;

    b->on.on_silent(b->arg);
}

/* entries: {{id, {"t", task id}}...}. What the stream has deleted comes without its fields. */
static void hand_over(struct doorbell *b, const struct redisReply *entries)
{
    for (size_t i = 0; i < redis_reply_count(entries); i++) {
        const struct redisReply *entry = redis_reply_at(entries, i);
        const struct redisReply *fields = redis_reply_at(entry, 1);
        struct redis_arg name = redis_reply_text(redis_reply_at(fields, 0));
        struct redis_arg id = redis_reply_text(redis_reply_at(fields, 1));
        bool named = name.len == 1 && *name.s == 't' && task_id_ok(id.s, id.len);

        if (!b->on.on_entry(b->arg, redis_reply_text(redis_reply_at(entry, 0)).s,
                            named ? id.s : ""))
            snprintf(b->from, sizeof b->from, FIRST_ENTRY);
    }
}

/* --- reading: again -> group -> id -> read, read, ... --- */

static void read_again(struct doorbell *b)
{
    snprintf(b->from, sizeof b->from, FIRST_ENTRY);
    if (!b->stopping)
        timer_set(&b->read_again, AGAIN_MS);
    see_whether_silent(b);
}

static void on_reader_id(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct doorbell *b = arg;

    b->asking_id = NULL;
    b->reader_id = e ? 0 : redis_reply_int(reply);
    if (e)
        read_again(b);
    else
        read_next(b);
}

/* By its name a read that waits can be ended. Asked before the first read, behind which it would
 * have to wait. */
static void ask_reader_id(struct doorbell *b)
{
    b->asking_id = redis_command(b->deps.reader, 0,
                                 (struct redis_arg[]){ REDIS_LIT("CLIENT"), REDIS_LIT("ID") }, 2,
                                 on_reader_id, b);
    if (!b->asking_id)
        read_again(b);
}

static void on_group(void *arg, int64_t made, const struct err *e)
{
    struct doorbell *b = arg;

    b->grouping = NULL;
    if (e) {
        if (e->code != ERR_STORE)
            log_error(NULL, "doorbell group=failed words=\"%s\"", e->detail);
        read_again(b);
        return;
    }
    if (made)
        log_info(NULL, "doorbell group=made");
    ask_reader_id(b);
}

/* Each read after a fault begins here: the fault may have been that the group is gone. */
static void ensure_group(void *arg)
{
    struct doorbell *b = arg;

    b->grouping = task_group(b->deps.redis, on_group, b);
    if (!b->grouping)
        read_again(b);
}

/* While our own entries are looked through: on to the next page, or to the new ones. */
static void advance(struct doorbell *b, const struct redisReply *entries)
{
    size_t count = redis_reply_count(entries);
    const struct redisReply *last = redis_reply_at(entries, count - 1);

    if (!strcmp(b->from, NEW_ENTRIES))
        return;
    snprintf(b->from, sizeof b->from, "%s",
             count ? redis_reply_text(redis_reply_at(last, 0)).s : NEW_ENTRIES);
}

/* reply: {{stream, entries}}, or nil when none came. */
static void on_read(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct doorbell *b = arg;
    const struct redisReply *entries = redis_reply_at(redis_reply_at(reply, 0), 1);

    b->reading = NULL;
    if (e) {
        if (e->code != ERR_STORE)
            log_warn(NULL, "doorbell read=failed words=\"%s\"", e->detail);
        read_again(b);
        return;
    }
    b->on.on_turn(b->arg);
    advance(b, entries);
    hand_over(b, entries);
    read_next(b);
    see_whether_silent(b);
}

static void read_next(struct doorbell *b)
{
    size_t places = b->on.places(b->arg);
    char count[24], block[24];

    if (b->stopping || !places || b->reading || b->asking_id || b->grouping ||
        timer_running(&b->read_again))
        return;
    snprintf(count, sizeof count, "%zu", places);
    snprintf(block, sizeof block, "%d", BLOCK_MS);
    b->reading = redis_command(b->deps.reader, BLOCK_MS + b->deps.settings->redis.timeout,
                               (struct redis_arg[]){
                                   REDIS_LIT("XREADGROUP"), REDIS_LIT("GROUP"),
                                   REDIS_LIT(KEYS_TASKS_GROUP), redis_str(b->deps.consumer),
                                   REDIS_LIT("COUNT"), redis_str(count),
                                   REDIS_LIT("BLOCK"), redis_str(block),
                                   REDIS_LIT("STREAMS"), REDIS_LIT(KEYS_TASKS_STREAM),
                                   redis_str(b->from) }, 11, on_read, b);
    if (!b->reading)
        read_again(b);
}

void doorbell_more(struct doorbell *b)
{
    read_next(b);
    if (strcmp(b->claim_from, FIRST_ENTRY) != 0 && !b->claiming && !b->stopping)
        timer_set(&b->claim_timer, 0);
}

/* --- taking over --- */

/* reply: {where to go on, entries, ids of deleted ones} */
static void on_claimed(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct doorbell *b = arg;
    const struct redisReply *entries = redis_reply_at(reply, 1);
    struct redis_arg next = redis_reply_text(redis_reply_at(reply, 0));

    b->claiming = NULL;
    if (!e) {
        if (redis_reply_count(entries) > 0)
            log_info(NULL, "doorbell claimed=%zu", redis_reply_count(entries));
        snprintf(b->claim_from, sizeof b->claim_from, "%s", next.s);
        hand_over(b, entries);
        doorbell_more(b);       /* there may be more of them */
    }
    see_whether_silent(b);
}

static void claim(void *arg)
{
    struct doorbell *b = arg;
    size_t places = b->on.places(b->arg);
    int64_t lease = b->deps.settings->tasks.lease;
    char idle[24], count[24];

    timer_set(&b->claim_timer, lease / 2);
    if (!places || b->claiming)
        return;
    snprintf(idle, sizeof idle, "%" PRId64, lease);
    snprintf(count, sizeof count, "%zu", places);
    b->claiming = redis_command(b->deps.redis, 0,
                                (struct redis_arg[]){
                                    REDIS_LIT("XAUTOCLAIM"), REDIS_LIT(KEYS_TASKS_STREAM),
                                    REDIS_LIT(KEYS_TASKS_GROUP), redis_str(b->deps.consumer),
                                    redis_str(idle), redis_str(b->claim_from),
                                    REDIS_LIT("COUNT"), redis_str(count) }, 8, on_claimed, b);
}

void doorbell_reconnected(struct doorbell *b)
{
    snprintf(b->claim_from, sizeof b->claim_from, FIRST_ENTRY);
    if (!b->stopping)
        timer_set(&b->claim_timer, b->deps.settings->tasks.lease);
}

/* --- beginning and end --- */

static void on_unblocked(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct doorbell *b = arg;

    (void)reply;
    (void)e;
    b->unblocking = NULL;
}

/* The read is ended from the server's side: were it cut off here, entries that are just being
 * handed to us would have to wait for somebody to claim them. */
static void end_read(struct doorbell *b)
{
    char id[24];

    if (!b->reading || !b->reader_id)
        return;
    snprintf(id, sizeof id, "%" PRId64, b->reader_id);
    b->unblocking = redis_command(b->deps.redis, 0,
                                  (struct redis_arg[]){ REDIS_LIT("CLIENT"), REDIS_LIT("UNBLOCK"),
                                                        redis_str(id) },
                                  3, on_unblocked, b);
}

struct doorbell *doorbell_new(const struct doorbell_deps *d, const struct doorbell_handlers *on,
                              void *arg)
{
    struct doorbell *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->deps = *d;
    b->on = *on;
    b->arg = arg;
    snprintf(b->from, sizeof b->from, NEW_ENTRIES);
    timer_init(&b->silent, d->loop, on_silent, b);
    timer_init(&b->read_again, d->loop, ensure_group, b);
    timer_init(&b->claim_timer, d->loop, claim, b);
    timer_set(&b->read_again, 0);
    doorbell_reconnected(b);
    return b;
}

void doorbell_stop(struct doorbell *b)
{
    b->stopping = true;
    timer_stop(&b->read_again);
    timer_stop(&b->claim_timer);
    task_call_cancel(b->grouping);
    redis_call_cancel(b->asking_id);
    b->grouping = NULL;
    b->asking_id = NULL;
    end_read(b);
    see_whether_silent(b);
}

void doorbell_free(struct doorbell *b)
{
    if (!b)
        return;
    timer_stop(&b->silent);
    timer_stop(&b->read_again);
    timer_stop(&b->claim_timer);
    redis_call_cancel(b->reading);
    redis_call_cancel(b->asking_id);
    redis_call_cancel(b->unblocking);
    redis_call_cancel(b->claiming);
    task_call_cancel(b->grouping);
    free(b);
}
