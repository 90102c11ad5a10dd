#ifndef CONFAB_TASK_CALL_H
#define CONFAB_TASK_CALL_H
/* The inside of task.h and task_work.h: one call of a script on its way, and what it is to
 * tell whom. */

#include "lib/chat/task_work.h"

struct task_call {
    struct redis_call *redis;
    union {
        task_accepted_fn   *accepted;
        task_found_fn      *found;
        task_reserve_fn    *reserved;
        task_fenced_fn     *fenced;
        task_done_fn       *done;
        task_reconciled_fn *reconciled;
    } tell;
    void *arg;
    char  id[KEYS_TASK_MAX + 1];
    char  tenant[KEYS_TENANT_MAX + 1];
};

/* Keys and arguments of one script. Numbers are written into digits; all else is borrowed. */
struct task_args {
    struct redis_arg key[8], argv[8];
    size_t           keys, args;
    char             digits[8][24];
};
void task_args_key(struct task_args *a, const struct key *k);
void task_args_name(struct task_args *a, const char *key);
void task_args_text(struct task_args *a, const char *s);
void task_args_number(struct task_args *a, int64_t n);

/* The end of each call function: sends it, or returns NULL when memory is out. on_reply gets the
 * task_call, and frees it. */
struct task_call *task_call_send(struct redis *r, const struct redis_script *script,
                                 const struct task_args *a, const struct task_call *call,
                                 redis_fn *on_reply);

/* The first word of a script's reply is this one. */
bool task_reply_says(const struct redisReply *reply, const char *word);

#endif
