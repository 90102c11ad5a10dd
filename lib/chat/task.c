#include "lib/chat/task.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/lua_scripts.h"
#include "lib/chat/task_call.h"

static const char *const status_names[] = {
    [TASK_PENDING] = "pending",   [TASK_RUNNING] = "running",
    [TASK_FINISHED] = "finished", [TASK_FAILED] = "failed",
};

const char *task_status_name(enum task_status s)
{
    return status_names[s];
}

bool task_id_ok(const char *id, size_t len)
{
    if (len < 1 || len > KEYS_TASK_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = id[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* --- the record as Redis has it --- */

/* Where each field of the hash goes. */
enum field_type { TEXT, NUMBER, STATUS };
static const struct field {
    char            name[4];
    enum field_type type;
    size_t          offset, size;
} fields[] = {
#define FIELD(name, type, member) \
    { name, type, offsetof(struct task, member), sizeof(((struct task *)0)->member) }
    FIELD("tn", TEXT, tenant),       FIELD("se", TEXT, session),
    FIELD("st", STATUS, status),     FIELD("nt", NUMBER, turns),
    FIELD("at", NUMBER, attempts),   FIELD("tr", NUMBER, tries),
    FIELD("t0", NUMBER, created_at), FIELD("t1", NUMBER, started_at),
    FIELD("t2", NUMBER, finished_at),
    FIELD("sk", TEXT, store),        FIELD("do", TEXT, document),
    FIELD("ec", TEXT, error_code),   FIELD("ed", TEXT, error_detail),
#undef FIELD
};

static const struct field *field_of(struct redis_arg name)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (name.len == strlen(fields[i].name) && !memcmp(name.s, fields[i].name, name.len))
            return &fields[i];
    return NULL;
}

static bool status_from(struct redis_arg text, enum task_status *status)
{
    for (size_t i = 0; i < sizeof status_names / sizeof status_names[0]; i++)
        if (text.len == strlen(status_names[i]) && !memcmp(text.s, status_names[i], text.len)) {
            *status = (enum task_status)i;
            return true;
        }
    return false;
}

static bool take(struct task *t, const struct field *f, const struct redisReply *value)
{
    struct redis_arg text = redis_reply_text(value);
    void *at = (char *)t + f->offset;

    switch (f->type) {
    case NUMBER:
        *(int64_t *)at = redis_reply_int(value);
        return true;
    case STATUS:
        return status_from(text, at);
    case TEXT:
        if (text.len >= f->size)
            return false;
        memcpy(at, text.s, text.len);
        ((char *)at)[text.len] = '\0';
        return true;
    }
    return false;
}

enum err_code task_from_reply(const char *id, const struct redisReply *reply, struct task *t,
                              struct err *e)
{
    size_t count = redis_reply_count(reply);

    *t = (struct task){ .status = TASK_PENDING };
    if (count == 0)
        return err_set(e, ERR_NO_TASK, "there is no such task");
    snprintf(t->id, sizeof t->id, "%s", id);
    for (size_t i = 0; i + 1 < count; i += 2) {
        const struct field *f = field_of(redis_reply_text(redis_reply_at(reply, i)));

        if (f && !take(t, f, redis_reply_at(reply, i + 1)))
            return err_set(e, ERR_INTERNAL, "task %s: field %s is broken", id, f->name);
    }
    if (!*t->tenant || !*t->session)
        return err_set(e, ERR_INTERNAL, "task %s: the record has no session", id);
    return ERR_OK;
}

/* --- the record as JSON --- */

static void add_text(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "\"%s\":", name);
    if (*value)
        text_json_string(out, value, strlen(value));
    else
        buf_adds(out, "null");
}

static void add_time(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];

    add_text(out, name, wall_ms ? clock_rfc3339(wall_ms, text) : "");
}

static void add_path(struct buf *url, const char *path)
{
    while (*path) {
        size_t len = strcspn(path, "/");

        text_percent_encode(path, len, url);
        path += len;
        if (*path == '/')
            buf_addc(url, *path++);
    }
}

void task_file_name(char out[TASK_FILE_SIZE], const char *slug, const char *task_id)
{
    snprintf(out, TASK_FILE_SIZE, "%.*s--%.*s.html", TASK_SLUG_SIZE - 1, slug, KEYS_TASK_MAX,
             task_id);
}

static void document_url(struct buf *url, const struct task *t, const char *doc_folder)
{
    char name[TASK_FILE_SIZE];

    if (t->status != TASK_FINISHED || !*t->document)
        return;
    if (!strcmp(t->store, "google")) {
        buf_adds(url, "https://docs.google.com/document/d/");
        text_percent_encode(t->document, strcspn(t->document, " "), url);   /* the first page */
        buf_adds(url, "/edit");
    } else if (!strcmp(t->store, "folder") && doc_folder && *doc_folder == '/') {
        buf_adds(url, "file://");
        add_path(url, doc_folder);
        buf_addc(url, '/');
        task_file_name(name, t->document, t->id);
        text_percent_encode(name, strlen(name), url);
    }
}

bool task_json(struct buf *out, const struct task *t, const char *doc_folder)
{
    struct buf url;

    buf_init(&url, 16384);
    document_url(&url, t, doc_folder);
    buf_addc(out, '{');
    add_text(out, "task_id", t->id);
    buf_addc(out, ',');
    add_text(out, "session_id", t->session);
    buf_addc(out, ',');
    add_text(out, "status", task_status_name(t->status));
    buf_addf(out, ",\"attempts\":%" PRId64 ",", t->attempts);
    add_time(out, "created_at", t->created_at);
    buf_addc(out, ',');
    add_time(out, "started_at", t->started_at);
    buf_addc(out, ',');
    add_time(out, "finished_at", t->finished_at);
    buf_addc(out, ',');
    add_text(out, "document_url", buf_ok(&url) ? url.data : "");
    buf_adds(out, ",\"error\":");
    if (*t->error_code) {
        buf_addc(out, '{');
        add_text(out, "code", t->error_code);
        buf_addc(out, ',');
        add_text(out, "detail", t->error_detail);
        buf_addc(out, '}');
    } else {
        buf_adds(out, "null");
    }
    buf_addc(out, '}');
    buf_close(&url);
    return buf_ok(out);
}

/* --- looking one up --- */

static void on_found(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct task_call c = *(struct task_call *)arg;
    struct err fault = ERR_NONE;
    struct task t;

    free(arg);
    if (e) {
        c.tell.found(c.arg, NULL, e);
        return;
    }
    if (!task_from_reply(c.id, reply, &t, &fault) && *c.tenant && strcmp(t.tenant, c.tenant) != 0)
        err_set(&fault, ERR_NO_TASK, "there is no such task");
    if (fault.code)
        c.tell.found(c.arg, NULL, &fault);
    else
        c.tell.found(c.arg, &t, NULL);
}

struct task_call *task_find(struct redis *r, const char *tenant, const char *id,
                            task_found_fn *fn, void *arg)
{
    /* What is no id names no key, so it is not found either. */
    struct key key = key_task(task_id_ok(id, strlen(id)) ? id : "");
    struct task_call *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->tell.found = fn;
    c->arg = arg;
    snprintf(c->id, sizeof c->id, "%s", id);
    snprintf(c->tenant, sizeof c->tenant, "%s", tenant);
    c->redis = redis_command(r, 0, (struct redis_arg[]){ REDIS_LIT("HGETALL"), key_arg(&key) }, 2,
                             on_found, c);
    if (!c->redis) {
        free(c);
        return NULL;
    }
    return c;
}
