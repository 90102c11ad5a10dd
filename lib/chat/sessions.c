/* All turns of this process: to wake one by its ticket, and to end them with the process. */
#include <stdlib.h>

#include "lib/base/text.h"
#include "lib/chat/session_turn.h"

static struct session_turn **bucket_of(struct sessions *s, uint64_t ticket)
{
    return &s->turns[ticket % SESSIONS_BUCKETS];
}

void sessions_add(struct sessions *s, struct session_turn *t)
{
    struct session_turn **bucket;

    t->ticket = ++s->last_ticket;
    bucket = bucket_of(s, t->ticket);
    t->next = *bucket;
    *bucket = t;
}

void sessions_remove(struct sessions *s, struct session_turn *t)
{
    struct session_turn **at = bucket_of(s, t->ticket);

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

/* The message is a ticket in digits; one that has gone meanwhile is nobody's. */
static void on_wake(void *arg, const char *message, size_t len)
{
    struct sessions *s = arg;
    struct session_turn *t;
    uint64_t ticket = 0;

    for (size_t i = 0; i < len && message[i] >= '0' && message[i] <= '9'; i++)
        ticket = ticket * 10 + (uint64_t)(message[i] - '0');
    for (t = *bucket_of(s, ticket); t && t->ticket != ticket; t = t->next)
        ;
    if (t)
        session_turn_wake(t);
}

static void wake_all(struct sessions *s)
{
    for (size_t i = 0; i < SESSIONS_BUCKETS; i++)
        for (struct session_turn *t = s->turns[i]; t; t = t->next)
            session_turn_wake(t);
}

/* What was published while the subscription was away is lost: all who wait look for themselves. */
static void on_wake_state(void *arg, bool up)
{
    if (up)
        wake_all(arg);
}

/* If Redis was restarted, the locks that nobody waits for are lost: all who hold one renew it, or
 * save, before others ask. */
static void on_redis_up(void *arg)
{
    wake_all(arg);
}

struct sessions *sessions_new(struct loop *l, struct redis *redis, struct redis *wake,
                              const struct settings *settings)
{
    struct sessions *s = calloc(1, sizeof *s);
    char child[2 * 8 + 1];

    if (!s)
        return NULL;
    text_random_hex(child, 8);
    s->loop = l;
    s->redis = redis;
    s->wake = wake;
    s->settings = settings;
    s->channel = key_wake(child);
    if (wake && !redis_subscribe(wake, s->channel.s, on_wake, s)) {
        free(s);
        return NULL;
    }
    redis_on_kept_up(redis, on_redis_up, s);
    if (wake)
        redis_on_state(wake, on_wake_state, s);
    return s;
}

void sessions_free(struct sessions *s)
{
    if (!s)
        return;
    redis_on_kept_up(s->redis, NULL, NULL);
    if (s->wake)
        redis_on_state(s->wake, NULL, NULL);
    for (size_t i = 0; i < SESSIONS_BUCKETS; i++)
        while (s->turns[i])
            session_turn_free(s->turns[i]);
    session_reads_free(s);
    free(s);
}
