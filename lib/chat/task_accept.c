#include "lib/chat/task_accept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/text.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/task_call.h"

enum { AT_ONCE = 64, KEYS_EACH = 2, ARGS_EACH = 4 };

/* One task that is to be accepted. */
struct wish {
    STAILQ_ENTRY(wish) next;
    task_accepted_fn  *fn;
    void              *arg;
    struct key         session, idem;               /* idem: of length 0 without a key */
    char               id[KEYS_TASK_MAX + 1];
    char               tenant[KEYS_TENANT_MAX + 1];
    char               says[65];
    size_t             name_len;
    char               name[];                      /* the session's id */
};

STAILQ_HEAD(wishes, wish);

struct task_desk {
    struct redis          *redis;       /* borrowed */
    const struct settings *settings;    /* borrowed */
    bool                   busy;        /* with those that were sent, until all were told */
    struct redis_call     *call;        /* under way, or NULL */
    struct wishes          sent, waiting;
};

struct task_desk *task_desk_new(struct redis *r, const struct settings *s)
{
    struct task_desk *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->redis = r;
    d->settings = s;
    STAILQ_INIT(&d->sent);
    STAILQ_INIT(&d->waiting);
    return d;
}

static struct wish *take_first(struct wishes *from)
{
    struct wish *w = STAILQ_FIRST(from);

    if (w)
        STAILQ_REMOVE_HEAD(from, next);
    return w;
}

void task_desk_free(struct task_desk *d)
{
    struct wish *w;

    if (!d)
        return;
    redis_call_cancel(d->call);
    STAILQ_CONCAT(&d->sent, &d->waiting);
    while ((w = take_first(&d->sent)))
        free(w);
    free(d);
}

/* --- the answer --- */

static void tell(struct wish *w, const struct redisReply *answer, const struct err *e)
{
    struct redis_arg id = redis_reply_text(redis_reply_at(answer, 1));
    struct err fault = ERR_NONE;

    if (e)
        fault = *e;
    else if (task_reply_says(answer, "unknown"))
        err_set(&fault, ERR_NO_SESSION, "there is no such session");
    else if (task_reply_says(answer, "reused"))
        err_set(&fault, ERR_KEY_REUSED, "the Idempotency-Key was used with another body");
    else if (task_reply_says(answer, "failed"))
        err_set(&fault, ERR_INTERNAL, "accepting a task: %s", id.s);
    else if (!task_reply_says(answer, "accepted") || !task_id_ok(id.s, id.len))
        err_set(&fault, ERR_INTERNAL, "accepting a task: not a reply of the script");
    w->fn(w->arg, fault.code ? NULL : id.s, fault.code ? &fault : NULL);
    free(w);
}

static void tell_all(struct wishes *told, const struct redisReply *answers, const struct err *e)
{
    struct wish *w;

    for (size_t i = 0; (w = take_first(told)); i++)
        tell(w, redis_reply_at(answers, i), e);
}

static bool send_some(struct task_desk *d);

/* Who waited behind a call that Redis has not answered has waited as long. */
static void on_reply(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_desk *d = arg;
    struct err no_memory = ERR_NONE;

    d->call = NULL;
    if (e && e->code == ERR_STORE)
        STAILQ_CONCAT(&d->sent, &d->waiting);
    tell_all(&d->sent, reply, e);
    d->busy = false;
    while (!STAILQ_EMPTY(&d->waiting) && !send_some(d)) {
        err_set(&no_memory, ERR_INTERNAL, "accepting a task: out of memory");
        tell_all(&d->sent, NULL, &no_memory);
    }
}

/* --- the question --- */

static struct redis_call *ask(struct task_desk *d)
{
    struct redis_arg keys[TASK_QUEUE_KEYS + AT_ONCE * KEYS_EACH], args[2 + AT_ONCE * ARGS_EACH];
    char life[TEXT_DECIMAL_SIZE];
    size_t nkeys = TASK_QUEUE_KEYS, nargs = 2;
    struct wish *w;

    task_queue_keys(keys);
    args[0] = REDIS_LIT(KEYS_TASKS_GROUP);
    args[1] = (struct redis_arg){ life, text_decimal(life, d->settings->session.idempotency_ttl) };
    STAILQ_FOREACH(w, &d->sent, next) {
        keys[nkeys++] = key_arg(&w->session);
        keys[nkeys++] = key_arg(&w->idem);
        args[nargs++] = redis_str(w->id);
        args[nargs++] = redis_str(w->tenant);
        args[nargs++] = (struct redis_arg){ w->name, w->name_len };
        args[nargs++] = redis_str(w->says);
    }
    return redis_eval_kept(d->redis, 0, &lua_task_accept, keys, nkeys, args, nargs, on_reply, d);
}

/* The first of those that wait. False: no memory, and they are still among those that were sent. */
static bool send_some(struct task_desk *d)
{
    struct wish *w;

    for (int i = 0; i < AT_ONCE && (w = take_first(&d->waiting)); i++)
        STAILQ_INSERT_TAIL(&d->sent, w, next);
    d->call = ask(d);
    d->busy = d->call;
    return d->busy;
}

/* As hard to guess as 128 random bits, and short, as it stands in Redis four times a task. Never
 * begins with a sign, which a command line would take for an option. */
static void make_id(char out[KEYS_TASK_MAX + 1])
{
    enum { LEN = 22 };
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (size_t i = 0; i < LEN; i++)
        out[i] = letters[arc4random_uniform(sizeof letters - 1)];
    out[LEN] = '\0';
}

static void take_key(struct wish *w, const struct task_request *q)
{
    const char *key = q->idempotency_key, *body = q->body_hash ? q->body_hash : "";
    char name[65];

    text_sha256_hex(name, (struct text_part[]){ { "write_to_doc", 12 }, { key, strlen(key) } }, 2);
    text_sha256_hex(w->says, (struct text_part[]){ { q->session, q->session_len },
                                                   { body, strlen(body) } }, 2);
    w->idem = key_idempotency(q->tenant, name);
}

bool task_accept(struct task_desk *d, const struct task_request *q, task_accepted_fn *fn,
                 void *arg)
{
    struct wish *w = calloc(1, sizeof *w + q->session_len);

    if (!w)
        return false;
    w->fn = fn;
    w->arg = arg;
    make_id(w->id);
    snprintf(w->tenant, sizeof w->tenant, "%s", q->tenant);
    memcpy(w->name, q->session, q->session_len);
    w->name_len = q->session_len;
    w->session = key_session(q->tenant, q->session, q->session_len, "");
    if (q->idempotency_key)
        take_key(w, q);
    STAILQ_INSERT_TAIL(&d->waiting, w, next);
    if (d->busy || send_some(d))
        return true;
    STAILQ_INIT(&d->sent);      /* it was the only one */
    free(w);
    return false;
}
