#ifndef CONFAB_TASK_CALL_H
#define CONFAB_TASK_CALL_H
/* The inside of task.h, task_work.h, task_admin.h and task_queue.h: one call of a script on its
 * way, and what it is to tell whom. */

#include "lib/chat/task_admin.h"
#include "lib/chat/task_queue.h"
#include "lib/chat/task_work.h"

struct task_call {
    struct redis_call *redis;
    union {
        task_found_fn      *found;
        task_listed_fn     *listed;
        task_changed_fn    *changed;
        task_reserve_fn    *reserved;
        task_fenced_fn     *fenced;
        task_done_fn       *done;
        task_page_fn       *page;
        task_state_fn      *state;
    } tell;
    void *arg;
    char  id[KEYS_TASK_MAX + 1];
    char  tenant[KEYS_TENANT_MAX + 1];
};

/* The keys of the queue, which task_queue.inc expects in a row. */
enum { TASK_QUEUE_KEYS = 8, TASK_ARGS_MAX = 10 };
void task_queue_keys(struct redis_arg keys[TASK_QUEUE_KEYS]);

/* Keys and arguments of one script. Numbers are written into digits, so that it must not be copied
 * once it has any; all else is borrowed. */
struct task_args {
    struct redis_arg key[TASK_QUEUE_KEYS + 3], argv[TASK_ARGS_MAX];
    size_t           keys, args;
    char             digits[TASK_ARGS_MAX][24];
};
/* Begins with the queue's keys, and the group as first argument: as all scripts but a few want. */
struct task_args task_args_queue(void);
void task_args_key(struct task_args *a, const struct key *k);
void task_args_name(struct task_args *a, const char *key);
void task_args_text(struct task_args *a, const char *s);
void task_args_number(struct task_args *a, int64_t n);

/* The end of each call function: sends it, or returns NULL when memory is out. on_reply gets the
 * task_call, and frees it. */
struct task_call *task_call_send(struct redis *r, const struct redis_script *script,
                                 const struct task_args *a, const struct task_call *call,
                                 redis_fn *on_reply);
/* The same for what must outlive a failover (redis_eval_kept). */
struct task_call *task_call_send_kept(struct redis *r, const struct redis_script *script,
                                      const struct task_args *a, const struct task_call *call,
                                      redis_fn *on_reply);

/* The first word of a script's reply is this one. */
bool task_reply_says(const struct redisReply *reply, const char *word);

#endif
