#include "lib/chat/session_admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/session.h"
#include "lib/chat/session_turn.h"
#include "lib/chat/task_call.h"

/* What is put aside for running tasks goes by itself after this long, should they never end. */
static const int64_t KEPT_LIFE_MS = (int64_t)7 * 24 * 60 * 60 * 1000;

struct session_op {
    struct redis_call *call;
    union {
        session_created_fn   *created;
        session_record_fn    *record;
        session_forgotten_fn *forgotten;
    } tell;
    void  *arg;
    size_t len;
    char   id[KEYS_SESSION_MAX + 1];
};

enum err_code session_label_check(const char *field, const char *s, size_t len, size_t max,
                                  struct err *e)
{
    if (len == 0 || len > max)
        return err_field(e, field, "must have 1 to %zu bytes", max);
    if (!text_is_utf8(s, len))
        return err_field(e, field, "must be UTF-8");
    if (text_has_control(s, len))
        return err_field(e, field, "must not have control characters");
    return ERR_OK;
}

void session_op_cancel(struct session_op *op)
{
    if (!op)
        return;
    redis_call_cancel(op->call);
    free(op);
}

static struct session_op *op_new(const char *id, size_t len, void *arg)
{
    struct session_op *op = calloc(1, sizeof *op);

    if (!op)
        return NULL;
    op->arg = arg;
    op->len = len;
    memcpy(op->id, id, len);
    return op;
}

/* The end of each call function. */
static struct session_op *op_sent(struct session_op *op, struct redis_call *call)
{
    if (!call) {
        free(op);
        return NULL;
    }
    op->call = call;
    return op;
}

static struct redis_arg number(int64_t n, char digits[24])
{
    snprintf(digits, 24, "%" PRId64, n);
    return redis_str(digits);
}

/* --- made -------------------------------------------------------------------------------- */

static void on_created(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_op op = *(struct session_op *)arg;
    struct redis_arg id = redis_reply_text(redis_reply_at(reply, 1));
    struct err fault = ERR_NONE;

    free(arg);
    if (e)
        fault = *e;
    else if (session_answers(reply, "reused"))
        err_set(&fault, ERR_KEY_REUSED, "the Idempotency-Key was used with another body");
    else if (!session_answers(reply, "created") || session_id_check(id.s, id.len, NULL) != ERR_OK)
        err_set(&fault, ERR_INTERNAL, "making a session: not a reply of the script");
    if (fault.code)
        op.tell.created(op.arg, NULL, &fault);
    else
        op.tell.created(op.arg, id.s, NULL);
}

static struct redis_arg opt(const char *s)
{
    return redis_str(s ? s : "");
}

static struct key idempotency_of(const struct session_new *n)
{
    const char *key = n->idempotency_key;
    char name[65];

    if (!key)
        return (struct key){ .len = 0 };
    text_sha256_hex(name, (struct text_part[]){ { "sessions", 8 }, { key, strlen(key) } }, 2);
    return key_idempotency(n->tenant, name);
}

struct session_op *session_create(struct redis *r, const struct settings *s,
                                  const struct session_new *n, session_created_fn *fn, void *arg)
{
    struct key hash, index = key_sessions_index(n->tenant), idem = idempotency_of(n);
    char id[33], life[SESSION_LIFE_SIZE], idem_life[24];
    struct session_op *op;

    session_id_make(n->tenant, NULL, id);
    hash = key_session(n->tenant, id, strlen(id), "");
    op = op_new(id, strlen(id), arg);
    if (!op)
        return NULL;
    op->tell.created = fn;
    return op_sent(op, redis_eval_kept(r, 0, &lua_session_create, (struct redis_arg[]){
        key_arg(&hash), key_arg(&index), key_arg(&idem),
    }, 3, (struct redis_arg[]){
        redis_str(id), opt(n->username), opt(n->title), opt(n->prompt),
        redis_str(session_life(s, life)), opt(n->body_hash),
        number(s->session.idempotency_ttl, idem_life),
    }, 7, on_created, op));
}

/* --- found, named ------------------------------------------------------------------------ */

static void on_record(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_op op = *(struct session_op *)arg;
    struct session_record record = { .id = { op.id, op.len } };
    struct err fault = ERR_NONE;

    free(arg);
    if (e)
        fault = *e;
    else if (!session_record_take(&record, reply, 0))
        err_set(&fault, ERR_NO_SESSION, "there is no such session");
    if (fault.code)
        op.tell.record(op.arg, NULL, &fault);
    else
        op.tell.record(op.arg, &record, NULL);
}

struct session_op *session_find(struct redis *r, const char *tenant, const char *id, size_t len,
                                session_record_fn *fn, void *arg)
{
    struct key hash = key_session(tenant, id, len, "");
    struct session_op *op = op_new(id, len, arg);

    if (!op)
        return NULL;
    op->tell.record = fn;
    return op_sent(op, redis_command(r, 0, (struct redis_arg[]){
        REDIS_LIT("HMGET"), key_arg(&hash), REDIS_LIT("username"), REDIS_LIT("title"),
        REDIS_LIT("prompt"), REDIS_LIT("turns"), REDIS_LIT("created"), REDIS_LIT("updated"),
    }, 8, on_record, op));
}

struct session_op *session_rename(struct redis *r, const char *tenant, const char *id, size_t len,
                                  const char *title, session_record_fn *fn, void *arg)
{
    struct key hash = key_session(tenant, id, len, "");
    struct session_op *op = op_new(id, len, arg);

    if (!op)
        return NULL;
    op->tell.record = fn;
    return op_sent(op, redis_eval_kept(r, 0, &lua_session_rename, (struct redis_arg[]){
        key_arg(&hash),
    }, 1, (struct redis_arg[]){ redis_str(title) }, 1, on_record, op));
}

/* --- forgotten --------------------------------------------------------------------------- */

static void on_forgotten(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct session_op op = *(struct session_op *)arg;
    struct err fault = ERR_NONE;

    free(arg);
    if (e)
        fault = *e;
    else if (session_answers(reply, "unknown"))
        err_set(&fault, ERR_NO_SESSION, "there is no such session");
    op.tell.forgotten(op.arg, fault.code ? &fault : NULL);
}

struct session_op *session_forget(struct redis *r, const struct settings *s, const char *tenant,
                                  const char *id, size_t len, session_forgotten_fn *fn, void *arg)
{
    static const char *const kinds[] = { "", "msgs", "lock", "wait", NULL, "kept", "kept:msgs" };
    enum { OURS = 7 };
    struct key k[OURS];
    struct redis_arg keys[OURS + TASK_QUEUE_KEYS];
    char lock_life[24], kept_life[24], record_life[24];
    struct session_op *op = op_new(id, len, arg);

    if (!op)
        return NULL;
    for (size_t i = 0; i < OURS; i++) {
        k[i] = kinds[i] ? key_session(tenant, id, len, kinds[i]) : key_sessions_index(tenant);
        keys[i] = key_arg(&k[i]);
    }
    task_queue_keys(keys + OURS);
    op->tell.forgotten = fn;
    return op_sent(op, redis_eval_kept(r, 0, &lua_session_forget, keys, OURS + TASK_QUEUE_KEYS,
                                       (struct redis_arg[]){
        REDIS_LIT(KEYS_TASKS_GROUP), { id, len }, number(session_lock_life(s), lock_life),
        number(KEPT_LIFE_MS, kept_life), number(s->tasks.ttl, record_life),
    }, 5, on_forgotten, op));
}
