#include "lib/chat/task_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of queue() in task_queue.inc. */
void task_queue_keys(struct redis_arg keys[TASK_QUEUE_KEYS])
{
    static const char *const names[TASK_QUEUE_KEYS] = {
        KEYS_TASKS_STREAM, KEYS_TASKS_TENANTS, KEYS_TASKS_RUNNING, KEYS_TASKS_DUE,
        KEYS_TASKS_WAITING, KEYS_TASKS_FAIR, KEYS_TASKS_CONTROL, KEYS_TASKS_PREFIX,
    };

    for (size_t i = 0; i < TASK_QUEUE_KEYS; i++)
        keys[i] = redis_str(names[i]);
}

struct task_args task_args_queue(void)
{
    struct task_args a = { .keys = TASK_QUEUE_KEYS };

    task_queue_keys(a.key);
    task_args_text(&a, KEYS_TASKS_GROUP);
    return a;
}

void task_args_key(struct task_args *a, const struct key *k)
{
    a->key[a->keys++] = key_arg(k);
}

void task_args_name(struct task_args *a, const char *key)
{
    a->key[a->keys++] = redis_str(key);
}

void task_args_text(struct task_args *a, const char *s)
{
    a->argv[a->args++] = redis_str(s);
}

void task_args_number(struct task_args *a, int64_t n)
{
    char *digits = a->digits[a->args];

    snprintf(digits, sizeof a->digits[0], "%" PRId64, n);
    task_args_text(a, digits);
}

typedef struct redis_call *eval_fn(struct redis *r, int64_t timeout_ms,
                                   const struct redis_script *s, const struct redis_arg *keys,
                                   size_t nkeys, const struct redis_arg *args, size_t nargs,
                                   redis_fn *fn, void *arg);

static struct task_call *send_by(eval_fn *eval, struct redis *r, const struct redis_script *script,
                                 const struct task_args *a, const struct task_call *call,
                                 redis_fn *on_reply)
{
    struct task_call *c = malloc(sizeof *c);

    if (!c)
        return NULL;
    *c = *call;
    c->redis = eval(r, 0, script, a->key, a->keys, a->argv, a->args, on_reply, c);
    if (!c->redis) {
        free(c);
        return NULL;
    }
    return c;
}

struct task_call *task_call_send(struct redis *r, const struct redis_script *script,
                                 const struct task_args *a, const struct task_call *call,
                                 redis_fn *on_reply)
{
    return send_by(redis_eval, r, script, a, call, on_reply);
}

struct task_call *task_call_send_kept(struct redis *r, const struct redis_script *script,
                                      const struct task_args *a, const struct task_call *call,
                                      redis_fn *on_reply)
{
    return send_by(redis_eval_kept, r, script, a, call, on_reply);
}

void task_call_cancel(struct task_call *c)
{
    if (!c)
        return;
    redis_call_cancel(c->redis);
    free(c);
}

bool task_reply_says(const struct redisReply *reply, const char *word)
{
    struct redis_arg first = redis_reply_text(redis_reply_at(reply, 0));

    return first.len == strlen(word) && memcmp(first.s, word, first.len) == 0;
}
