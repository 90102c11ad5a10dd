#include "jobrunner/google/upload.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*   WHOLE ------------------------------------> done
 *   BEGIN -> PUT ------------------------------> done
 *     |       ^- ASK <- (cut, 5xx, 308)
 *     '------------- <- (404: Google has forgotten the session) */
enum upload_state { UPLOAD_WHOLE, UPLOAD_BEGIN, UPLOAD_PUT, UPLOAD_ASK };

enum { REPEATS_MAX = 5, OVERHEAD = 4096, LOCATION_MAX = 4096 };

struct google_upload {
    enum upload_state      state;
    const struct google   *google;
    struct google_handlers on;
    void                  *arg;
    const char            *id, *html;       /* borrowed */
    size_t                 len, arrived;
    struct google_call    *call;            /* the request under way */
    char                  *location;        /* of the session; secret, never logged */
    int                    repeats;
};

static void on_reply(void *arg, const struct google_result *r);

static void upload_free(struct google_upload *u)
{
    free(u->location);
    free(u);
}

static void finish(struct google_upload *u, const struct google_result *r)
{
    struct google_handlers on = u->on;
    void *arg = u->arg;

    upload_free(u);
    on.on_done(arg, r);
}

static void give_up(struct google_upload *u, enum store_verdict verdict, enum err_code code,
                    const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", why);
    finish(u, &(struct google_result){ .verdict = verdict, .err = &e });
}

static void on_ready(void *arg, int64_t ms)
{
    struct google_upload *u = arg;

    u->on.on_ready(u->arg, ms);
}

static bool build(struct google_upload *u, struct drive_request *q)
{
    const char *root = u->google->root;

    drive_request_init(q, u->len + OVERHEAD);
    switch (u->state) {
    case UPLOAD_WHOLE: return drive_fill(q, root, u->id, u->html, u->len);
    case UPLOAD_BEGIN: return drive_resumable_begin(q, root, u->id, u->len);
    case UPLOAD_PUT:   return drive_resumable_put(q, u->location, u->html, u->arrived, u->len);
    case UPLOAD_ASK:   return drive_resumable_ask(q, u->location, u->len);
    }
    return false;
}

/* The only place that changes the state and asks Google. */
static bool upload_enter(struct google_upload *u, enum upload_state next)
{
    const struct google_handlers on = { .on_ready = u->on.on_ready ? on_ready : NULL,
                                        .on_done = on_reply };
    bool carries = next == UPLOAD_WHOLE || next == UPLOAD_PUT;
    struct drive_request q;

    u->state = next;
    if (!build(u, &q)) {
        drive_request_close(&q);
        return false;
    }
    u->call = google_call(u->google, &q, carries ? u->google->upload_timeout : u->google->timeout,
                          &on, u);
    return u->call;
}

struct google_upload *google_upload(const struct google *g, const char *id, const char *html,
                                    size_t len, const struct google_handlers *on, void *arg)
{
    struct google_upload *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->google = g;
    u->on = *on;
    u->arg = arg;
    u->id = id;
    u->html = html;
    u->len = len;
    if (!upload_enter(u, len > DRIVE_SIMPLE_MAX ? UPLOAD_BEGIN : UPLOAD_WHOLE)) {
        upload_free(u);
        return NULL;
    }
    return u;
}

/* "bytes=0-N": N + 1 have arrived; no header: none. */
static size_t arrived(const char *range)
{
    const char *dash = strncasecmp(range, "bytes=0-", 8) == 0 ? range + 8 : NULL;

    return dash ? (size_t)strtoull(dash, NULL, 10) + 1 : 0;
}

static void next(struct google_upload *u, enum upload_state state)
{
    if (!upload_enter(u, state))
        give_up(u, STORE_TRY_AGAIN, ERR_INTERNAL, "out of memory");
}

/* The session's URL gets our token, so it must be Google's own. */
static bool location_ok(const struct google_upload *u, const char *location)
{
    size_t root = strlen(u->google->root);

    return strncasecmp(location, u->google->root, root) == 0 && location[root] == '/'
        && strlen(location) < LOCATION_MAX;
}

static void begun(struct google_upload *u, const struct google_result *r)
{
    if (!location_ok(u, r->reply->location))
        give_up(u, STORE_TRY_AGAIN, ERR_UPSTREAM, "Google Drive names no place for the upload");
    else if (!(u->location = strdup(r->reply->location)))
        give_up(u, STORE_TRY_AGAIN, ERR_INTERNAL, "out of memory");
    else
        next(u, UPLOAD_PUT);
}

static void go_on(struct google_upload *u, const struct google_result *r)
{
    u->arrived = arrived(r->reply->range);
    if (u->arrived >= u->len || u->repeats++ >= REPEATS_MAX)
        give_up(u, STORE_AWAY, ERR_UPSTREAM, "the upload does not come to its end");
    else
        next(u, UPLOAD_PUT);
}

/* With PUT and ASK a 404 is the session's, not the document's. */
static void begin_again(struct google_upload *u)
{
    if (u->repeats++ >= REPEATS_MAX) {
        give_up(u, STORE_AWAY, ERR_UPSTREAM, "Google Drive forgets the upload again and again");
        return;
    }
    free(u->location);
    u->location = NULL;
    u->arrived = 0;
    next(u, UPLOAD_BEGIN);
}

static void on_reply(void *arg, const struct google_result *r)
{
    struct google_upload *u = arg;

    u->call = NULL;
    if (u->location && r->reply && r->reply->status == 404) {
        begin_again(u);
        return;
    }
    if (u->state == UPLOAD_BEGIN && r->verdict == STORE_OK)
        begun(u, r);
    else if (u->state != UPLOAD_BEGIN && r->verdict == STORE_OK && r->reply->status == 308)
        go_on(u, r);
    else if (u->state == UPLOAD_PUT && r->verdict == STORE_AWAY && u->repeats++ < REPEATS_MAX)
        next(u, UPLOAD_ASK);
    else
        finish(u, r);
}

void google_upload_proceed(struct google_upload *u)
{
    google_call_proceed(u->call);
}

void google_upload_cancel(struct google_upload *u)
{
    if (!u)
        return;
    google_call_cancel(u->call);
    upload_free(u);
}
