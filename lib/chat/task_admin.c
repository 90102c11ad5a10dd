/* Each script's head in lua/ tells the order of its keys and arguments, and what it answers. */
#include "lib/chat/task_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/session.h"
#include "lib/chat/task_call.h"

/* --- listed --- */

static bool take_task(const struct redisReply *item, struct task *t, struct err *e)
{
    struct redis_arg id = redis_reply_text(redis_reply_at(item, 0));
    char name[KEYS_TASK_MAX + 1];

    snprintf(name, sizeof name, "%.*s", (int)id.len, id.s);
    return task_from_reply(name, redis_reply_at(item, 1), t, e) == ERR_OK;
}

/* One record that cannot be read does not hide the others. */
static size_t take_tasks(const struct redisReply *reply, struct task *tasks)
{
    size_t count = 0;

    for (size_t i = 2; i < redis_reply_count(reply) && count < TASK_PAGE_MAX; i++) {
        struct err e = ERR_NONE;

        if (take_task(redis_reply_at(reply, i), &tasks[count], &e))
            count++;
        else
            log_error(NULL, "tasks listing=incomplete words=\"%s\"", e.detail);
    }
    return count;
}

static void on_listed(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;
    struct task *tasks = NULL;
    struct err fault = ERR_NONE;

    free(arg);
    if (e)
        fault = *e;
    else if (task_reply_says(reply, "unknown"))
        err_set(&fault, ERR_NO_SESSION, "there is no such session");
    else if (!task_reply_says(reply, "page"))
        err_set(&fault, ERR_INTERNAL, "listing tasks: not a reply of the script");
    else if (!(tasks = malloc(TASK_PAGE_MAX * sizeof *tasks)))
        err_set(&fault, ERR_INTERNAL, "listing tasks: out of memory");
    if (fault.code)
        c.tell.listed(c.arg, NULL, 0, "", &fault);
    else
        c.tell.listed(c.arg, tasks, take_tasks(reply, tasks),
                      redis_reply_text(redis_reply_at(reply, 1)).s, NULL);
    free(tasks);
}

/* Up to 18 of them, which Redis takes for a number in any place. */
static size_t digits_at(const char *s)
{
    size_t digits = strspn(s, "0123456789");

    return digits > 18 ? 0 : digits;
}

/* The stream of all gives <ms>-<n>, every other source in task_list.lua <ms>:<task id>. */
bool task_cursor_ok(const struct task_query *q)
{
    bool of_stream = !q->session && (q->status < 0 || q->status == TASK_FINISHED);
    size_t digits = digits_at(q->cursor);
    const char *rest = q->cursor + digits;

    if (!digits || strlen(rest) >= TASK_CURSOR_SIZE - digits || *rest++ != (of_stream ? '-' : ':'))
        return false;
    if (!of_stream)
        return task_id_ok(rest, strlen(rest));
    digits = digits_at(rest);
    return digits && !rest[digits];
}

struct task_call *task_list(struct redis *r, const struct task_query *q, task_listed_fn *fn,
                            void *arg)
{
    struct task_call call = { .tell.listed = fn, .arg = arg };
    struct task_args a = task_args_queue();

    task_args_text(&a, q->tenant);
    task_args_text(&a, q->status < 0 ? "" : task_status_name((enum task_status)q->status));
    a.argv[a.args++] = (struct redis_arg){ q->session ? q->session : "", q->session_len };
    task_args_text(&a, q->cursor);
    task_args_number(&a, q->limit);
    return task_call_send(r, &lua_task_list, &a, &call, on_listed);
}

/* --- changed --- */

static void on_changed(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;
    struct err fault = ERR_NONE;

    free(arg);
    if (e)
        fault = *e;
    else if (task_reply_says(reply, "unknown"))
        err_set(&fault, ERR_NO_TASK, "there is no such task");
    else if (task_reply_says(reply, "gone"))
        err_set(&fault, ERR_SESSION_GONE, "the session or its dialog does not exist any more");
    else if (!task_reply_says(reply, "done"))
        err_set(&fault, ERR_TASK_STATE, "the task is %s",
                redis_reply_text(redis_reply_at(reply, 0)).s);
    c.tell.changed(c.arg, fault.code ? &fault : NULL);
}

/* What is no id names no task, so it is not found either. */
static const char *id_or_none(const char *id)
{
    return task_id_ok(id, strlen(id)) ? id : "";
}

struct task_call *task_retry(struct redis *r, const char *tenant, const char *id,
                             task_changed_fn *fn, void *arg)
{
    struct task_call call = { .tell.changed = fn, .arg = arg };
    struct task_args a = task_args_queue();

    task_args_text(&a, id_or_none(id));
    task_args_text(&a, tenant);
    return task_call_send_kept(r, &lua_task_retry, &a, &call, on_changed);
}

struct task_call *task_remove(struct redis *r, const struct settings *s, const char *tenant,
                              const char *id, enum task_removal what, task_changed_fn *fn,
                              void *arg)
{
    struct task_call call = { .tell.changed = fn, .arg = arg };
    struct task_args a = task_args_queue();
    char life[SESSION_LIFE_SIZE];

    task_args_text(&a, id_or_none(id));
    task_args_text(&a, tenant);
    task_args_number(&a, (what & TASK_CANCEL) != 0);
    task_args_number(&a, (what & TASK_DELETE) != 0);
    task_args_text(&a, session_life(s, life));
    task_args_number(&a, s->tasks.ttl);
    return task_call_send_kept(r, &lua_task_remove, &a, &call, on_changed);
}
