/*   TURN -> FOLDER -> LIST -> (MARK -> LOOK -> TRASH)* -> LIST ... -> wait
 *
 * What a search tells is minutes old: a document that it shows in the staging folder may have been
 * published since. Where its task is gone, nobody but Google knows that; so Google is asked where
 * the document lies now.
 *
 * Any fault ends the round: what it did not come to lies there for the next one as well. */
#include "jobrunner/google/sweeper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/chat/task_queue.h"

enum {
    ROUND_MIN_MS = 1000, ROUND_MAX_MS = 60 * 60 * 1000,     /* between two rounds */
    REQUEST_MAX = 8192,
};

struct sweeper {
    const struct google   *google;      /* borrowed, as the next three */
    struct redis          *redis;
    struct staging        *staging;
    const struct settings *settings;
    struct timer           timer;       /* to the next round */

    struct redis_call     *asking;      /* of TURN */
    struct staging_wait   *waiting;     /* of FOLDER */
    struct google_call    *call;        /* of LIST, LOOK and TRASH */
    struct task_call      *marking;     /* of MARK */
    char                   folder[STAGING_ID_SIZE], installation[STAGING_INSTALLATION_SIZE];
    json_t                *page;        /* owned: what LIST said */
    size_t                 next;        /* in its files */
    int64_t                before;      /* wall ms: younger ones are left alone in this round */
    int64_t                seen, trashed;
};

static void turn(void *arg);
static void on_turn(void *arg, const struct redisReply *reply, const struct err *e);
static void on_folder(void *arg, const char *folder, const char *installation,
                      enum store_verdict verdict, const struct err *e);
static void list(struct sweeper *w, const char *page_token);
static void on_list(void *arg, const struct google_result *r);
static void mark_next(struct sweeper *w);
static void on_marked(void *arg, int64_t may_go, const struct err *e);
static void look(struct sweeper *w, const char *document);
static void on_looked(void *arg, const struct google_result *r);
static void trash(struct sweeper *w, const char *document);
static void on_trashed(void *arg, const struct google_result *r);

static int64_t round_ms(const struct sweeper *w)
{
    int64_t ms = w->settings->google.orphan_age / 4;

    return ms < ROUND_MIN_MS ? ROUND_MIN_MS : ms > ROUND_MAX_MS ? ROUND_MAX_MS : ms;
}

struct sweeper *sweeper_new(const struct google *g, struct redis *r, struct staging *staging,
                            const struct settings *s)
{
    struct sweeper *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    *w = (struct sweeper){ .google = g, .redis = r, .staging = staging, .settings = s };
    timer_init(&w->timer, g->loop, turn, w);
    if (s->google.orphan_age > 0)
        timer_set(&w->timer, round_ms(w));
    return w;
}

void sweeper_free(struct sweeper *w)
{
    if (!w)
        return;
    timer_stop(&w->timer);
    redis_call_cancel(w->asking);
    staging_cancel(w->waiting);
    google_call_cancel(w->call);
    task_call_cancel(w->marking);
    json_decref(w->page);
    free(w);
}

static void round_ends(struct sweeper *w, const struct err *e)
{
    if (e)
        log_warn(NULL, "google sweep=broken_off words=\"%s\"", e->detail);
    if (w->seen > 0)
        log_info(NULL, "google sweep=done seen=%" PRId64 " trashed=%" PRId64, w->seen, w->trashed);
    w->seen = w->trashed = 0;
    json_decref(w->page);
    w->page = NULL;
    timer_set(&w->timer, round_ms(w));
}

/* --- TURN: one sweeper a round --- */

static void turn(void *arg)
{
    struct sweeper *w = arg;
    char life[24];

    snprintf(life, sizeof life, "%" PRId64, round_ms(w) * 9 / 10);
    w->asking = redis_command(w->redis, 0, (struct redis_arg[]){
        REDIS_LIT("SET"), REDIS_LIT(KEYS_TASKS_SWEEPER), REDIS_LIT("1"), REDIS_LIT("NX"),
        REDIS_LIT("PX"), redis_str(life) }, 6, on_turn, w);
    if (!w->asking)
        round_ends(w, NULL);
}

static void on_turn(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct sweeper *w = arg;

    w->asking = NULL;
    if (!e && !redis_reply_is_nil(reply))
        w->waiting = staging_get(w->staging, on_folder, w);
    if (!w->waiting)
        round_ends(w, NULL);
}

static void on_folder(void *arg, const char *folder, const char *installation,
                      enum store_verdict verdict, const struct err *e)
{
    struct sweeper *w = arg;

    w->waiting = NULL;
    if (verdict != STORE_OK) {
        round_ends(w, e);
        return;
    }
    snprintf(w->folder, sizeof w->folder, "%s", folder);
    snprintf(w->installation, sizeof w->installation, "%s", installation);
    w->before = clock_wall_ms() - w->settings->google.orphan_age;
    list(w, "");
}

/* --- LIST --- */

static bool ask(struct sweeper *w, struct drive_request *q,
                void (*on_done)(void *arg, const struct google_result *r))
{
    const struct google_handlers on = { .on_done = on_done };

    w->call = google_call(w->google, q, w->google->timeout, &on, w);
    return w->call;
}

static void list(struct sweeper *w, const char *page_token)
{
    struct drive_request q;

    drive_request_init(&q, REQUEST_MAX);
    if (!drive_list_staged(&q, w->google->root, w->folder, w->installation, w->before,
                           page_token) ||
        !ask(w, &q, on_list)) {
        drive_request_close(&q);
        round_ends(w, NULL);
    }
}

static void on_list(void *arg, const struct google_result *r)
{
    struct sweeper *w = arg;

    w->call = NULL;
    if (r->verdict != STORE_OK) {
        round_ends(w, r->err);
        return;
    }
    json_decref(w->page);
    w->page = json_incref((json_t *)r->json);
    w->next = 0;
    mark_next(w);
}

/* --- MARK, LOOK, TRASH: one document after the other --- */

static void page_ends(struct sweeper *w)
{
    const char *token = json_str(w->page, "nextPageToken");
    json_t *page = w->page;

    w->page = NULL;
    if (token && *token)
        list(w, token);
    else
        round_ends(w, NULL);
    json_decref(page);
}

static const json_t *current(const struct sweeper *w)
{
    return json_array_get(json_object_get(w->page, "files"), w->next - 1);
}

static void mark_next(struct sweeper *w)
{
    const json_t *files = json_object_get(w->page, "files");

    while (w->next < json_array_size(files)) {
        const json_t *file = json_array_get(files, w->next++);
        const char *id = json_str(file, "id");
        const char *task = json_str(json_object_get(file, "appProperties"), "confabTask");

        if (!id || !task || !task_id_ok(task, strlen(task)))
            continue;
        w->seen++;
        w->marking = task_sweep_document(w->redis, task, id, on_marked, w);
        if (!w->marking)
            round_ends(w, NULL);
        return;
    }
    page_ends(w);
}

static void on_marked(void *arg, int64_t may_go, const struct err *e)
{
    struct sweeper *w = arg;

    w->marking = NULL;
    if (e)
        round_ends(w, e);
    else if (may_go)
        look(w, json_str(current(w), "id"));
    else
        mark_next(w);
}

static bool is_gone(const struct google_result *r)
{
    return r->reply && r->reply->status == 404;
}

static void look(struct sweeper *w, const char *document)
{
    struct drive_request q;

    drive_request_init(&q, 0);
    if (!drive_look_up(&q, w->google->root, document) || !ask(w, &q, on_looked)) {
        drive_request_close(&q);
        round_ends(w, NULL);
    }
}

static void on_looked(void *arg, const struct google_result *r)
{
    struct sweeper *w = arg;
    const char *parent = json_string_value(json_array_get(json_object_get(r->json, "parents"), 0));

    w->call = NULL;
    if (r->verdict != STORE_OK && !is_gone(r))
        round_ends(w, r->err);
    else if (parent && !strcmp(parent, w->folder) &&
             !json_is_true(json_object_get(r->json, "trashed")))
        trash(w, json_str(current(w), "id"));
    else
        mark_next(w);
}

static void trash(struct sweeper *w, const char *document)
{
    struct drive_request q;

    drive_request_init(&q, REQUEST_MAX);
    if (!drive_trash(&q, w->google->root, document) || !ask(w, &q, on_trashed)) {
        drive_request_close(&q);
        round_ends(w, NULL);
    }
}

static void on_trashed(void *arg, const struct google_result *r)
{
    struct sweeper *w = arg;

    w->call = NULL;
    if (r->verdict != STORE_OK && !is_gone(r)) {
        round_ends(w, r->err);
        return;
    }
    w->trashed++;
    mark_next(w);
}
