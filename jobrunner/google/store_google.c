/* Documents as Google Docs: the store that never shows one twice.
 *
 *   SETUP -> (CREATE -> FILL)* -> PUBLISH* -> done
 *      \-------------^   the id is known from an earlier attempt
 *
 * Google refuses ids that we choose, so a document that is made may be made without our learning of
 * it. Therefore it is made EMPTY, in the staging folder, out of sight; its id is recorded (with
 * FILL's checkpoint) before anything is written into it; and FILL and PUBLISH go by that id, so
 * they can be repeated for ever. A crash inside CREATE leaves an empty document in
 * staging, which carries the installation and the task.
 *
 * A recorded document that is gone (404) is made anew, once in an attempt.
 *
 * A dialog that is larger than a document may be comes in several pages: all are made and filled
 * one after the other before the first is published. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobrunner/google/call.h"
#include "jobrunner/google/google_error.h"
#include "jobrunner/google/staging.h"
#include "jobrunner/google/sweeper.h"
#include "jobrunner/google/upload.h"
#include "jobrunner/store.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/chat/task_queue.h"

enum { ID_SIZE = 128, REQUEST_MAX = 8192, MAX_IDLE = 16, CONNECT_TIMEOUT = 10000,
       BUDGET_AGAIN_MS = 500, NAME_SIZE = 320,
       SHORT_ID = STORE_DOCUMENT_SIZE / STORE_PAGES_MAX };

struct google_store {
    struct store           store;       /* first */
    const struct settings *settings;
    struct google          google;
    struct http           *http, *http_once;
    struct tokens         *tokens;
    struct staging        *staging;
    struct sweeper        *sweeper;
    struct redis          *redis;
    char                  *root;
};

enum google_state { SETUP, CREATE, FILL, PUBLISH };

/* A document: of the dialog, or of one page of it. */
struct google_page {
    char document[ID_SIZE];             /* "" = not made yet */
    char parent[ID_SIZE];               /* where it lies now, as FILL learned */
};

struct google_op {
    struct store_op         op;         /* first */
    enum google_state       state;
    struct google_store    *store;
    const struct store_job *job;
    struct store_handlers   on;
    void                   *arg;
    struct timer            begin;
    struct timer            ask_again;  /* for a write out of the budget */
    struct task_call       *budget;     /* the same, under way */
    int64_t                 step_ms;    /* what the step may take that waits for it */
    struct staging_wait    *waiting;    /* in SETUP, after its checkpoint */
    struct google_call     *call;       /* in CREATE, PUBLISH */
    struct google_upload   *upload;     /* in FILL */
    struct google_page      pages[STORE_PAGES_MAX];
    size_t                  page, count;        /* the one in work, and how many there are */
    bool                    unrecorded;         /* one of them was just made */
    char                    documents[STORE_DOCUMENT_SIZE];     /* their ids, as recorded */
    char staging[ID_SIZE], installation[STAGING_INSTALLATION_SIZE];
    bool made_anew, staging_made_anew;  /* once each in an attempt */
};

static void setup(struct google_op *op);
static void on_setup(void *arg, const char *folder, const char *installation,
                     enum store_verdict verdict, const struct err *e);
static void create(struct google_op *op);
static void on_created(void *arg, const struct google_result *r);
static void fill(struct google_op *op);
static void on_filled(void *arg, const struct google_result *r);
static void publish(struct google_op *op);
static void on_published(void *arg, const struct google_result *r);

/* In the order in which they run. */
static const struct { const char *doing; void (*run)(struct google_op *op); } states[] = {
    [SETUP]   = { "looking for the staging folder", setup },
    [CREATE]  = { "making an empty document", create },
    [FILL]    = { "writing the document", fill },
    [PUBLISH] = { "moving the document to the dialogs folder", publish },
};

/* The only place that changes the state. op may be gone when it returns. */
static void op_enter(struct google_op *op, enum google_state next)
{
    op->state = next;
    states[next].run(op);
}

/* --- ends --- */

static void op_free(struct google_op *op)
{
    timer_stop(&op->begin);
    timer_stop(&op->ask_again);
    task_call_cancel(op->budget);
    staging_cancel(op->waiting);
    google_call_cancel(op->call);
    google_upload_cancel(op->upload);
    free(op);
}

/* The ids of those that are made, with blanks between them. */
static const char *join(struct google_op *op)
{
    size_t at = 0;

    op->documents[0] = '\0';
    for (size_t i = 0; i < op->count && at < sizeof(op->documents); i++)
        if (op->pages[i].document[0])
            at += (size_t)snprintf(op->documents + at, sizeof(op->documents) - at, "%s%s",
                                   at ? " " : "", op->pages[i].document);
    return op->documents;
}

static void split(struct google_op *op, const char *documents)
{
    for (size_t i = 0; i < op->count && *documents; i++) {
        size_t len = strcspn(documents, " ");

        if (len < ID_SIZE)
            memcpy(op->pages[i].document, documents, len);
        documents += len + (documents[len] == ' ');
    }
}

static void op_done(struct google_op *op, enum store_verdict verdict, const struct err *e)
{
    struct store_handlers on = op->on;
    void *arg = op->arg;
    char documents[STORE_DOCUMENT_SIZE];

    strcpy(documents, join(op));
    op_free(op);
    on.on_done(arg, verdict, documents, e);
}

static struct google_page *page_of(struct google_op *op)
{
    return &op->pages[op->page];
}

static void op_fail(struct google_op *op, enum store_verdict verdict, const struct err *e)
{
    struct err mine = *e;

    err_wrap(&mine, "%s", states[op->state].doing);
    op_done(op, verdict, &mine);
}

static void op_say(struct google_op *op, enum store_verdict verdict, const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, verdict == STORE_TRY_AGAIN ? ERR_INTERNAL : ERR_UPSTREAM_REFUSED, "%s", why);
    op_fail(op, verdict, &e);
}

/* --- checkpoints --- */

/* op may be gone after it, so this is the last thing its caller does. */
static void checkpoint(struct google_op *op, int64_t ms)
{
    op->on.on_checkpoint(op->arg, op->unrecorded ? join(op) : NULL, ms);
}

/* All runners share the writes of a minute, if they are limited: each waits for its turn before
 * the checkpoint, so that the wait is no part of the time for which the lease is needed. */
static void ask_for_a_write(void *arg);

static void on_budget(void *arg, int64_t wait_ms, const struct err *e)
{
    struct google_op *op = arg;

    op->budget = NULL;
    if (e)
        timer_set(&op->ask_again, BUDGET_AGAIN_MS);
    else if (wait_ms > 0)
        timer_set(&op->ask_again, wait_ms);
    else
        checkpoint(op, op->step_ms);
}

static void ask_for_a_write(void *arg)
{
    struct google_op *op = arg;
    const struct google_store *store = op->store;

    op->budget = task_budget(store->redis, store->settings->google.writes_per_minute, on_budget,
                             op);
    if (!op->budget)
        timer_set(&op->ask_again, BUDGET_AGAIN_MS);
}

static void on_ready(void *arg, int64_t ms)
{
    struct google_op *op = arg;

    op->step_ms = ms;
    if (op->store->settings->google.writes_per_minute > 0)
        ask_for_a_write(op);
    else
        checkpoint(op, ms);
}

static void google_proceed(struct store_op *o)
{
    struct google_op *op = (struct google_op *)o;

    op->unrecorded = false;
    if (op->upload)
        google_upload_proceed(op->upload);
    else if (op->call)
        google_call_proceed(op->call);
    else if (!(op->waiting = staging_get(op->store->staging, on_setup, op)))
        timer_set(&op->begin, 1000);    /* no memory: ask once more */
}

/* NULL when memory is out. */
static struct google_call *ask(struct google_op *op, struct drive_request *q,
                               void (*on_done)(void *arg, const struct google_result *r))
{
    const struct google_handlers on = { .on_ready = on_ready, .on_done = on_done };
    const struct google *g = &op->store->google;

    return google_call(g, q, g->timeout, &on, op);
}

static int status_of(const struct google_result *r)
{
    return r->reply ? r->reply->status : 0;
}

/* --- SETUP --- */

static void on_begin(void *arg)
{
    struct google_op *op = arg;

    op_enter(op, op->state);
}

/* The staging folder is everybody's: looking for it changes nothing of this task. */
static void setup(struct google_op *op)
{
    checkpoint(op, op->store->google.timeout);
}

static void on_setup(void *arg, const char *folder, const char *installation,
                     enum store_verdict verdict, const struct err *e)
{
    struct google_op *op = arg;

    op->waiting = NULL;
    if (verdict != STORE_OK) {
        op_fail(op, verdict, e);
        return;
    }
    snprintf(op->staging, sizeof(op->staging), "%s", folder);
    snprintf(op->installation, sizeof(op->installation), "%s", installation);
    op_enter(op, page_of(op)->document[0] ? FILL : CREATE);
}

/* --- CREATE --- */

static void create(struct google_op *op)
{
    struct drive_owner owner = { op->installation, op->job->task_id };
    struct drive_request q;
    char name[128];

    snprintf(name, sizeof(name), "confab %s", op->job->task_id);
    drive_request_init(&q, REQUEST_MAX);
    drive_create_document(&q, op->store->root, name, op->staging, &owner);
    op->call = ask(op, &q, on_created);
    if (!op->call)
        op_say(op, STORE_TRY_AGAIN, "out of memory");
}

static void no_staging_folder(struct google_op *op)
{
    if (op->store->settings->google.staging_folder_id[0]) {
        op_say(op, STORE_MISCONFIGURED, "Google Drive does not find the folder of "
               "google.staging_folder_id, or the account may not write there");
    } else if (op->staging_made_anew) {
        op_say(op, STORE_MISCONFIGURED, "Google Drive does not find the staging folder, though it "
               "was just there: set google.staging_folder_id to a folder on the drive of the "
               "dialogs folder");
    } else {
        op->staging_made_anew = true;
        staging_lost(op->store->staging, op->staging);
        op_enter(op, SETUP);
    }
}

static void on_created(void *arg, const struct google_result *r)
{
    struct google_op *op = arg;
    const char *id = json_str(r->json, "id");

    op->call = NULL;
    if (status_of(r) == 404)
        no_staging_folder(op);
    else if (r->verdict != STORE_OK)
        op_fail(op, r->verdict, r->err);
    else if (!id || !*id || strlen(id) >= (op->count > 1 ? SHORT_ID : ID_SIZE) || strchr(id, ' '))
        op_say(op, STORE_TRY_AGAIN, "Google Drive's answer has no id");
    else {
        strcpy(page_of(op)->document, id);
        op->unrecorded = true;
        op_enter(op, FILL);
    }
}

/* --- FILL --- */

static void fill(struct google_op *op)
{
    const struct google_handlers on = { .on_ready = on_ready, .on_done = on_filled };
    size_t from = op->page > 0 ? op->job->page_ends[op->page - 1] : 0;
    size_t to = op->count > 1 ? op->job->page_ends[op->page] : op->job->html_len;

    op->upload = google_upload(&op->store->google, page_of(op)->document, op->job->html + from,
                               to - from, &on, op);
    if (!op->upload)
        op_say(op, STORE_TRY_AGAIN, "out of memory");
}

/* The recorded document is gone: someone deleted it for good. */
static void no_document(struct google_op *op)
{
    if (op->made_anew) {
        op_say(op, STORE_TRY_AGAIN, "Google Drive does not find the document it has just made");
        return;
    }
    op->made_anew = true;
    page_of(op)->document[0] = '\0';
    op->unrecorded = false;
    op_enter(op, CREATE);
}

static void next_page(struct google_op *op)
{
    if (++op->page < op->count) {
        op_enter(op, page_of(op)->document[0] ? FILL : CREATE);
    } else {
        op->page = 0;
        op_enter(op, PUBLISH);
    }
}

static void on_filled(void *arg, const struct google_result *r)
{
    struct google_op *op = arg;
    const char *parent = json_string_value(json_array_get(json_object_get(r->json, "parents"), 0));

    op->upload = NULL;
    if (status_of(r) == 404)
        no_document(op);
    else if (r->verdict != STORE_OK)
        op_fail(op, r->verdict, r->err);
    else {
        /* Not told where it lies, we take it to be where it was made. */
        snprintf(page_of(op)->parent, ID_SIZE, "%s", parent ? parent : op->staging);
        next_page(op);
    }
}

/* --- PUBLISH --- */

static void publish(struct google_op *op)
{
    const char *dialogs = op->store->settings->google.folder_id;
    const struct google_page *page = page_of(op);
    bool there = strcmp(page->parent, dialogs) == 0;
    struct drive_request q;
    char name[NAME_SIZE];

    if (op->count > 1)
        snprintf(name, sizeof(name), "%s (%zu/%zu)", op->job->name, op->page + 1, op->count);
    else
        snprintf(name, sizeof(name), "%s", op->job->name);
    drive_request_init(&q, REQUEST_MAX);
    drive_publish(&q, op->store->root, page->document, name, there ? "" : dialogs,
                  there ? "" : page->parent);
    op->call = ask(op, &q, on_published);
    if (!op->call)
        op_say(op, STORE_TRY_AGAIN, "out of memory");
}

static void on_published(void *arg, const struct google_result *r)
{
    struct google_op *op = arg;

    op->call = NULL;
    if (r->verdict == STORE_OK && ++op->page < op->count)
        op_enter(op, PUBLISH);
    else if (r->verdict == STORE_OK)
        op_done(op, STORE_OK, NULL);
    else if (status_of(r) == 404 && google_error_names(r->reply, page_of(op)->document))
        no_document(op);
    else
        op_fail(op, r->verdict, r->err);
}

/* --- the store --- */

static bool google_chosen(const struct settings *s)
{
    return settings_use_google(s);
}

static struct store_op *google_write(struct store *s, const struct store_job *job,
                                     const struct store_handlers *on, void *arg)
{
    struct google_store *store = (struct google_store *)s;
    struct google_op *op = calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    op->op.kind = &store_google;
    op->state = SETUP;
    op->store = store;
    op->job = job;
    op->on = *on;
    op->arg = arg;
    op->count = job->pages > 1 ? job->pages : 1;
    split(op, job->document);
    timer_init(&op->begin, store->google.loop, on_begin, op);
    timer_init(&op->ask_again, store->google.loop, ask_for_a_write, op);
    timer_set(&op->begin, 0);
    return &op->op;
}

static void google_cancel(struct store_op *o)
{
    op_free((struct google_op *)o);
}

static void google_close(struct store *s)
{
    struct google_store *store = (struct google_store *)s;

    sweeper_free(store->sweeper);
    staging_free(store->staging);
    tokens_free(store->tokens);
    http_free(store->http);
    http_free(store->http_once);
    free(store->root);
    free(store);
}

static int64_t google_page_max(const struct store *s)
{
    return ((const struct google_store *)s)->settings->google.document_max;
}

static char *root_of(const char *url)
{
    size_t len = strlen(url);

    while (len && url[len - 1] == '/')
        len--;
    return strndup(url, len);
}

static enum err_code google_open(const struct store_deps *d, struct store **out, struct err *e)
{
    const struct settings *settings = d->settings;
    struct http_options http = {
        .connect_timeout = CONNECT_TIMEOUT, .max_idle = MAX_IDLE, .user_agent = "confab",
    };
    struct tokens_options tokens = {
        .loop = d->loop, .scope = settings->google.scope, .subject = settings->google.subject,
        .timeout = settings->google.timeout,
    };
    struct google_store *store;

    if (credentials_read(settings->google.credentials, &tokens.credentials, e))
        return err_wrap(e, "google.credentials (GOOGLE_APPLICATION_CREDENTIALS)");
    if (!(store = calloc(1, sizeof(*store)))) {
        credentials_close(&tokens.credentials);
        return err_set(e, ERR_INTERNAL, "out of memory");
    }
    store->store.kind = &store_google;
    store->settings = settings;
    store->redis = d->redis;
    store->root = root_of(settings->google.api_root);
    store->http = tokens.http = http_new(d->loop, &http);
    http.max_idle = 0;
    store->http_once = http_new(d->loop, &http);
    if (store->http)
        store->tokens = tokens_new(&tokens);
    else
        credentials_close(&tokens.credentials);
    store->google = (struct google){
        .loop = d->loop, .http = store->http, .http_once = store->http_once,
        .tokens = store->tokens, .root = store->root,
        .timeout = settings->google.timeout, .upload_timeout = settings->google.upload_timeout,
    };
    store->staging = staging_new(&store->google, d->redis, settings);
    store->sweeper = sweeper_new(&store->google, d->redis, store->staging, settings);
    if (!store->root || !store->http_once || !store->tokens || !store->staging ||
        !store->sweeper) {
        google_close(&store->store);
        return err_set(e, ERR_INTERNAL, "out of memory");
    }
    *out = &store->store;
    return ERR_OK;
}

const struct store_kind store_google = {
    .name = "google",
    .chosen = google_chosen,
    .open = google_open,
    .close = google_close,
    .write = google_write,
    .proceed = google_proceed,
    .cancel = google_cancel,
    .page_max = google_page_max,
};
