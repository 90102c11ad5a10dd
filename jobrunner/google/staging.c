#include "jobrunner/google/staging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "jobrunner/google/google_error.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/chat/keys.h"

/*   RECALL -> READY                             staging_folder_id is set
 *   RECALL -> LOOK -> READY                     the recorded folder is there
 *   RECALL | LOOK -> PARENT -> GENERATE -> KEEP -> CREATE -> READY
 *                     \--------- not yet made ------^  \-> LOOK    409: somebody made it
 *
 * An id that exists (409) and yet cannot be seen, lies in the bin, or is refused (400), is of no
 * use any more: it is replaced, at most once in a run. Any fault ends the run; those who wait are
 * told. */
enum staging_state { IDLE, RECALL, LOOK, PARENT, GENERATE, KEEP, CREATE };

enum { REPLACED_MAX = 1, REQUEST_MAX = 4096 };

struct staging_wait {
    LIST_ENTRY(staging_wait) others;
    struct staging *staging;
    struct timer    answer;
    staging_fn     *fn;
    void           *arg;
};

struct staging {
    enum staging_state     state;
    const struct google   *google;
    struct redis          *redis;
    const struct settings *settings;
    LIST_HEAD(, staging_wait) waits;
    struct google_call    *call;        /* under way in LOOK, PARENT, GENERATE, CREATE */
    struct redis_call     *asked;       /* under way in RECALL, KEEP */
    char field[80];                     /* of the hash: staging_<hash of the dialogs folder> */
    char installation[STAGING_INSTALLATION_SIZE];
    char folder[STAGING_ID_SIZE];       /* recorded, "" = none */
    char stale[STAGING_ID_SIZE];        /* the recorded id that is to be replaced, or "" */
    char parent[STAGING_ID_SIZE];
    bool ready, refused;                /* folder can be used; folder answered 409 in this run */
    int  replaced;
    enum store_verdict verdict;         /* of the last run */
    struct err err;
};

static void enter(struct staging *s, enum staging_state next);

/* --- those who wait --- */

static void on_answer(void *arg)
{
    struct staging_wait *w = arg, copy = *w;
    struct staging *s = w->staging;
    struct err e = s->err;

    if (s->state != IDLE)
        return; /* another run has begun meanwhile: its outcome is ours too */
    if (!s->ready && s->verdict == STORE_OK) {
        enter(s, RECALL); /* lost while we came to be called */
        return;
    }
    staging_cancel(w);
    if (s->ready)
        copy.fn(copy.arg, s->folder, s->installation, STORE_OK, NULL);
    else
        copy.fn(copy.arg, NULL, NULL, s->verdict, &e);
}

struct staging_wait *staging_get(struct staging *s, staging_fn *fn, void *arg)
{
    struct staging_wait *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->staging = s;
    w->fn = fn;
    w->arg = arg;
    timer_init(&w->answer, s->google->loop, on_answer, w);
    LIST_INSERT_HEAD(&s->waits, w, others);
    if (s->ready)
        timer_set(&w->answer, 0);
    else if (s->state == IDLE)
        enter(s, RECALL);
    return w;
}

void staging_cancel(struct staging_wait *w)
{
    if (!w)
        return;
    timer_stop(&w->answer);
    LIST_REMOVE(w, others);
    free(w);
}

static void settle(struct staging *s, enum store_verdict verdict)
{
    struct staging_wait *w;

    s->state = IDLE;
    s->ready = verdict == STORE_OK;
    s->verdict = verdict;
    LIST_FOREACH(w, &s->waits, others)
        timer_set(&w->answer, 0);
}

static void out_of_memory(struct staging *s)
{
    err_set(&s->err, ERR_INTERNAL, "out of memory");
    settle(s, STORE_TRY_AGAIN);
}

/* Copies e first: it may be borrowed from what is about to go. What is wrong with the folder is no
 * fault of the document that waits for it. */
static void fail(struct staging *s, const struct google_result *r)
{
    s->err = *r->err;
    settle(s, r->verdict == STORE_IMPOSSIBLE ? STORE_MISCONFIGURED : r->verdict);
}

/* --- Redis: what is known --- */

static bool redis_failed(struct staging *s, const struct err *e)
{
    if (!e)
        return false;
    s->err = *e;
    settle(s, STORE_AWAY);
    return true;
}

/* A script, so that two runners which start together agree. Returns installation and folder. */
static const char recall_script[] =
    "redis.call('HSETNX', KEYS[1], 'id', ARGV[1]) "
    "return {redis.call('HGET', KEYS[1], 'id'), redis.call('HGET', KEYS[1], ARGV[2])}";

/* Records ARGV[2] where ARGV[3] stood ("": nothing); returns what stands there then. */
static const char keep_script[] =
    "local was = redis.call('HGET', KEYS[1], ARGV[1]) or '' "
    "if was == ARGV[3] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return ARGV[2] end "
    "return was";

static bool take(char *out, size_t size, struct redis_arg value)
{
    if (value.len >= size)
        return false;
    memcpy(out, value.s, value.len);
    out[value.len] = '\0';
    return true;
}

static void on_recalled(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct staging *s = arg;
    const char *configured = s->settings->google.staging_folder_id;

    s->asked = NULL;
    if (redis_failed(s, e))
        return;
    if (!take(s->installation, sizeof(s->installation), redis_reply_text(redis_reply_at(reply, 0)))
        || !take(s->folder, sizeof(s->folder), redis_reply_text(redis_reply_at(reply, 1)))
        || !s->installation[0]) {
        err_set(&s->err, ERR_INTERNAL, "the hash " KEYS_INSTALL " in Redis is not ours");
        settle(s, STORE_TRY_AGAIN);
        return;
    }
    if (configured[0]) {
        snprintf(s->folder, sizeof(s->folder), "%s", configured);
        settle(s, STORE_OK);
    } else
        enter(s, s->folder[0] ? LOOK : PARENT);
}

static void recall(struct staging *s)
{
    char fresh[STAGING_INSTALLATION_SIZE];

    s->err = ERR_NONE;
    s->refused = false;
    s->replaced = 0;
    s->stale[0] = '\0';
    text_random_hex(fresh, sizeof(fresh) / 2);
    const struct redis_arg argv[] = {
        REDIS_LIT("EVAL"), redis_str(recall_script), REDIS_LIT("1"), REDIS_LIT(KEYS_INSTALL),
        redis_str(fresh), redis_str(s->field),
    };
    s->asked = redis_command(s->redis, 0, argv, sizeof(argv) / sizeof(*argv), on_recalled, s);
    if (!s->asked)
        out_of_memory(s);
}

static void on_kept(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct staging *s = arg;

    s->asked = NULL;
    if (redis_failed(s, e))
        return;
    if (!take(s->folder, sizeof(s->folder), redis_reply_text(reply)) || !s->folder[0]) {
        err_set(&s->err, ERR_INTERNAL, "the hash " KEYS_INSTALL " in Redis is not ours");
        settle(s, STORE_TRY_AGAIN);
        return;
    }
    s->stale[0] = '\0';
    enter(s, CREATE);
}

static void keep(struct staging *s)
{
    const struct redis_arg argv[] = {
        REDIS_LIT("EVAL"), redis_str(keep_script), REDIS_LIT("1"), REDIS_LIT(KEYS_INSTALL),
        redis_str(s->field), redis_str(s->folder), redis_str(s->stale),
    };

    s->asked = redis_command(s->redis, 0, argv, sizeof(argv) / sizeof(*argv), on_kept, s);
    if (!s->asked)
        out_of_memory(s);
}

/* --- Google --- */

static int status_of(const struct google_result *r)
{
    return r->reply ? r->reply->status : 0;
}

static void ask(struct staging *s, struct drive_request *q,
                void (*on_done)(void *arg, const struct google_result *r))
{
    const struct google_handlers on = { .on_done = on_done };

    s->call = google_call(s->google, q, s->google->timeout, &on, s);
    if (!s->call)
        out_of_memory(s);
}

/* The recorded id cannot be used any more. */
static void replace(struct staging *s)
{
    if (s->replaced++ >= REPLACED_MAX) {
        err_set(&s->err, ERR_UPSTREAM, "Google neither makes it under an id that it generated, nor "
                "finds it");
        settle(s, STORE_AWAY);
        return;
    }
    log_warn(NULL, "google staging=replaced");
    memcpy(s->stale, s->folder, sizeof(s->stale));
    s->folder[0] = '\0';
    s->refused = false;
    enter(s, PARENT);
}

static void on_looked(void *arg, const struct google_result *r)
{
    struct staging *s = arg;

    s->call = NULL;
    if (status_of(r) == 404 && !s->refused)
        enter(s, PARENT);       /* kept, but not made yet */
    else if (status_of(r) == 404)
        replace(s);
    else if (r->verdict != STORE_OK)
        fail(s, r);
    else if (json_is_true(json_object_get(r->json, "trashed")))
        replace(s);
    else
        settle(s, STORE_OK);
}

static void look(struct staging *s)
{
    struct drive_request q;

    drive_request_init(&q, 0);
    drive_look_up(&q, s->google->root, s->folder);
    ask(s, &q, on_looked);
}

/* In the root of the drive that holds the dialogs folder: there, who can write dialogs can
 * move them out of staging. */
static void on_parent(void *arg, const struct google_result *r)
{
    struct staging *s = arg;

    s->call = NULL;
    if (status_of(r) == 404) {
        err_set(&s->err, ERR_UPSTREAM_REFUSED, "Google does not show the dialogs folder: check "
                "google.folder_id (GOOGLE_DRIVE_FOLDER_ID) and that the account is a member of its "
                "shared drive; with the scope drive.file, make a folder for unfinished documents "
                "on that drive and set google.staging_folder_id");
        settle(s, STORE_MISCONFIGURED);
        return;
    }
    if (r->verdict != STORE_OK) {
        fail(s, r);
        return;
    }

    const char *drive = json_str(r->json, "driveId");

    snprintf(s->parent, sizeof(s->parent), "%s", drive && *drive ? drive : "root");
    enter(s, s->folder[0] ? CREATE : GENERATE);
}

static void parent(struct staging *s)
{
    struct drive_request q;

    drive_request_init(&q, 0);
    drive_look_up(&q, s->google->root, s->settings->google.folder_id);
    ask(s, &q, on_parent);
}

static void on_generated(void *arg, const struct google_result *r)
{
    struct staging *s = arg;
    const char *id;

    s->call = NULL;
    if (r->verdict != STORE_OK) {
        fail(s, r);
        return;
    }
    id = json_string_value(json_array_get(json_object_get(r->json, "ids"), 0));
    if (!id || !*id || strlen(id) >= sizeof(s->folder)) {
        err_set(&s->err, ERR_UPSTREAM, "Google Drive generates no id");
        settle(s, STORE_AWAY);
        return;
    }
    strcpy(s->folder, id);
    enter(s, KEEP);
}

static void generate(struct staging *s)
{
    struct drive_request q;

    drive_request_init(&q, 0);
    drive_generate_id(&q, s->google->root);
    ask(s, &q, on_generated);
}

static void on_created(void *arg, const struct google_result *r)
{
    struct staging *s = arg;

    s->call = NULL;
    if (status_of(r) == 409) {
        s->refused = true;
        enter(s, LOOK);
    } else if (status_of(r) == 400) {
        replace(s);
    } else if (r->verdict != STORE_OK) {
        fail(s, r);
    } else {
        settle(s, STORE_OK);
    }
}

static void create(struct staging *s)
{
    struct drive_owner owner = { .installation = s->installation };
    struct drive_request q;

    drive_request_init(&q, REQUEST_MAX);
    drive_create_folder(&q, s->google->root, s->folder, "confab: documents being written",
                        s->parent, &owner);
    ask(s, &q, on_created);
}

/* --- --- */

static void enter(struct staging *s, enum staging_state next)
{
    static void (*const run[])(struct staging *s) = {
        [RECALL] = recall, [LOOK] = look, [PARENT] = parent,
        [GENERATE] = generate, [KEEP] = keep, [CREATE] = create,
    };

    s->state = next;
    run[next](s);
}

struct staging *staging_new(const struct google *g, struct redis *r,
                            const struct settings *settings)
{
    struct staging *s = calloc(1, sizeof(*s));
    const char *folder = settings->google.folder_id;
    char hash[65];

    if (!s)
        return NULL;
    s->google = g;
    s->redis = r;
    s->settings = settings;
    LIST_INIT(&s->waits);
    text_sha256_hex(hash, &(struct text_part){ folder, strlen(folder) }, 1);
    snprintf(s->field, sizeof(s->field), "staging_%.32s", hash);
    return s;
}

void staging_free(struct staging *s)
{
    if (!s)
        return;
    google_call_cancel(s->call);
    redis_call_cancel(s->asked);
    while (!LIST_EMPTY(&s->waits))
        staging_cancel(LIST_FIRST(&s->waits));
    free(s);
}

void staging_lost(struct staging *s, const char *folder)
{
    if (s->ready && strcmp(s->folder, folder) == 0)
        s->ready = false;
}
