/* GET /api/v1/sessions/<id>/export?format=: the whole dialog as a file, however long it is: it is
 * read and rendered a few turns at a time, and never faster than the client takes it.
 *
 *   FIND -> LAST -> PAGE <-> SEND -> the end
 *
 * The last turn is read before the first, as the head of most formats tells when the dialog ended.
 * What is sent is the dialog as FIND saw it. A fault before the first byte is an ordinary error.
 * After it Redis may be away as long as a save would wait for it; then the file says itself that it
 * is not complete, as the status is spent and a length was not promised. */

#include "fcgi/handlers/export.h"

#include <stdlib.h>
#include <string.h>

#include "fcgi/app.h"
#include "fcgi/handlers/attachment.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/input.h"
#include "fcgi/response.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/chat/session_admin.h"

enum {
    SESSION_SEGMENT = 3,
    PAGE_TURNS = 16,
    PAGE_MAX = 8 * SESSION_PAGE_BYTES,  /* rendered: a turn alone may be larger than a page */
    AGAIN_MS = 250,                     /* while Redis is away */
};

struct export {
    struct request             *request;    /* borrowed; gone when we end */
    struct app                 *app;        /* borrowed */
    const struct dialog_format *format;
    bool                        download;
    bool                        has_last, begun, ended, lagging;
    struct segment              id;         /* borrowed from the request */
    struct session_op          *finding;    /* under way, or NULL */
    struct session_read        *reading;    /* the same */
    struct timer                again;
    int64_t                     patience;   /* until when to try again; clock_ms */
    int64_t                     turns, done;    /* of the whole dialog; rendered */
    struct dialog_facts         facts;
    struct session_record       record;     /* its texts are the next three */
    char                        username[SESSION_USERNAME_MAX + 1];
    char                        title[SESSION_TITLE_MAX + 1];
    char                        prompt[SESSION_USERNAME_MAX + 1];
    char                        model[128];
    struct buf                  out;        /* rendered, from `sent` on not sent */
    size_t                      sent;
};

static void find(struct export *x);
static void on_record(void *arg, const struct session_record *record, const struct err *e);
static void read_on(void *arg);
static void on_page(void *arg, const struct session_page *page, const struct err *e);
static void pump(struct export *x);

/* --- the ends ----------------------------------------------------------------------------- */

static void export_free(struct export *x)
{
    timer_stop(&x->again);
    session_op_cancel(x->finding);
    session_read_cancel(x->reading);
    buf_close(&x->out);
    free(x);
}

static void finish(struct export *x)
{
    response_end(x->request);
    export_free(x);
}

static void fail(struct export *x, const struct err *e)
{
    if (response_streaming(x->request) && e->code != ERR_CANCELLED) {
        struct buf notice;

        buf_init(&notice, 4096);
        x->format->broken(&notice, err_title(e->code));
        response_piece(x->request, notice.data, notice.len);
        buf_close(&notice);
    }
    response_error(x->request, e);
    export_free(x);
}

static void fail_new(struct export *x, enum err_code code, const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", why);
    fail(x, &e);
}

static void on_gone(void *arg)
{
    fail_new(arg, ERR_CANCELLED, "the client has left");
}

static void on_drained(void *arg)
{
    struct export *x = arg;

    if (!x->lagging)
        return;
    x->lagging = false;
    pump(x);
}

/* --- FIND --------------------------------------------------------------------------------- */

void export_dialog(struct request *r, size_t segment, const struct dialog_format *format,
                   bool download)
{
    struct export *x = calloc(1, sizeof(*x));
    struct err e = ERR_NONE;

    if (!x) {
        err_set(&e, ERR_INTERNAL, "out of memory");
        response_error(r, &e);
        return;
    }
    x->request = r;
    x->app = r->app;
    x->format = format;
    x->download = download;
    buf_init(&x->out, PAGE_MAX);
    timer_init(&x->again, r->app->loop, read_on, x);
    if (input_session(r, segment, &x->id, &e) != ERR_OK) {
        fail(x, &e);
        return;
    }
    r->on_gone = on_gone;
    r->on_drained = on_drained;
    r->arg = x;
    find(x);
}

static void find(struct export *x)
{
    x->finding = session_find(x->app->redis, x->request->tenant, x->id.s, x->id.len, on_record, x);
    if (!x->finding)
        fail_new(x, ERR_INTERNAL, "looking the session up: out of memory");
}

static struct redis_arg kept(char *to, size_t size, struct redis_arg text)
{
    size_t len = text.len < size ? text.len : size - 1;

    memcpy(to, text.s, len);
    return (struct redis_arg){ to, len };
}

static void keep_record(struct export *x, const struct session_record *record)
{
    x->record = *record;
    x->record.id = (struct redis_arg){ x->id.s, x->id.len };
    x->record.username = kept(x->username, sizeof(x->username), record->username);
    x->record.title = kept(x->title, sizeof(x->title), record->title);
    x->record.prompt = kept(x->prompt, sizeof(x->prompt), record->prompt);
}

static void begin_reply(struct export *x)
{
    struct buf name;

    if (x->download) {
        buf_init(&name, 2048);
        attachment_disposition(&name, x->id.s, x->id.len, x->format->name);
        response_header(x->request, "Content-Disposition", name.data);
        buf_close(&name);
    }
    response_begin(x->request, x->format->content_type);
}

static void on_record(void *arg, const struct session_record *record, const struct err *e)
{
    struct export *x = arg;

    x->finding = NULL;
    if (e) {
        fail(x, e);
        return;
    }
    keep_record(x, record);
    x->turns = record->turns;
    x->facts = (struct dialog_facts){
        .title = x->record.title.len > 0 ? x->record.title.s : x->id.s,
        .session_id = x->id.s, .turns = x->turns, .model = x->model, .session = &x->record,
    };
    if (x->request->method == METHOD_HEAD) {
        begin_reply(x);
        response_piece(x->request, NULL, 0);
        finish(x);
    } else if (x->turns > 0) {
        read_on(x);
    } else {
        begin_reply(x);
        x->format->begin(&x->out, &x->facts);
        pump(x);
    }
}

/* --- LAST, PAGE --------------------------------------------------------------------------- */

static void read_on(void *arg)
{
    struct export *x = arg;
    int64_t first = x->has_last ? x->done : x->turns - 1, left = x->turns - first;

    x->reading = session_read(x->app->sessions, x->request->tenant, x->id.s, x->id.len, first,
                              left < PAGE_TURNS ? left : PAGE_TURNS, on_page, x);
    if (!x->reading)
        fail_new(x, ERR_INTERNAL, "reading the dialog: out of memory");
}

static void take_last(struct export *x, const struct turn *t)
{
    size_t len = strlen(t->model);

    x->has_last = true;
    x->facts.ended_at = t->answered_at;
    if (len >= sizeof(x->model))
        len = text_utf8_prefix(t->model, sizeof(x->model) - 1);
    memcpy(x->model, t->model, len);
}

static void take_turn(struct export *x, const struct turn *t)
{
    if (x->done == 0) {
        begin_reply(x);
        x->facts.started_at = t->asked_at;
        x->format->begin(&x->out, &x->facts);
    }
    x->format->turn(&x->out, t, ++x->done);
}

static enum err_code take_page(struct export *x, const struct session_page *page, struct err *e)
{
    void (*take)(struct export *, const struct turn *) = x->has_last ? take_turn : take_last;

    if (!page->exists || page->count == 0)
        return err_set(e, ERR_NO_SESSION, "the session was deleted meanwhile");
    for (size_t i = 0; i < page->count; i++) {
        struct turn_holder holder;
        struct turn t;

        if (turn_decode(page->entries[i].s, page->entries[i].len, &t, &holder, e) != ERR_OK)
            return e->code;
        take(x, &t);
        turn_release(&holder);
    }
    return buf_ok(&x->out) ? ERR_OK : err_set(e, ERR_INTERNAL, "a page is larger than expected");
}

/* Before the first byte the client can try again itself. */
static bool is_patient(struct export *x, const struct err *e)
{
    if (e->code != ERR_STORE || !response_streaming(x->request))
        return false;
    if (x->patience == 0)
        x->patience = clock_ms() + x->app->settings.session.save_timeout;
    return clock_ms() < x->patience;
}

static void on_page(void *arg, const struct session_page *page, const struct err *e)
{
    struct export *x = arg;
    bool was_last = !x->has_last;
    struct err fault = ERR_NONE;

    x->reading = NULL;
    if (e && is_patient(x, e)) {
        timer_set(&x->again, AGAIN_MS);
    } else if (e) {
        fail(x, e);
    } else if (take_page(x, page, &fault) != ERR_OK) {
        fail(x, &fault);
    } else if (was_last) {
        read_on(x);
    } else {
        x->patience = 0;
        pump(x);
    }
}

/* --- SEND --------------------------------------------------------------------------------- */

/* Sends what is rendered, as far as the client takes it; then goes on reading. */
static void pump(struct export *x)
{
    size_t piece = (size_t)x->app->settings.server.max_unsent / 4;

    if (x->done == x->turns && !x->ended) {
        x->ended = true;
        x->format->end(&x->out);
    }
    while (x->sent < x->out.len && !x->lagging) {
        size_t left = x->out.len - x->sent, n = left < piece ? left : piece;

        x->lagging = !response_piece(x->request, x->out.data + x->sent, n);
        x->sent += n;
    }
    if (x->sent < x->out.len)
        return;
    buf_clear(&x->out);
    x->sent = 0;
    if (x->ended)
        finish(x);
    else if (!x->lagging)
        read_on(x);
}

void handle_export(struct request *r)
{
    const struct dialog_format *format;
    struct err e = ERR_NONE;
    char name[16];

    input_query(r, "format", name, sizeof(name), &e);
    format = dialog_format_find(*name ? name : "md");
    if (e.code == ERR_OK && !format)
        err_field(&e, "format", "there are: %s", DIALOG_FORMATS);
    if (e.code != ERR_OK)
        response_error(r, &e);
    else
        export_dialog(r, SESSION_SEGMENT, format, true);
}
