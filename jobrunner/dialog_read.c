/*   LAST -> PAGE* -> the end
 *
 * The last turn comes first: the head of the page says when the dialog ended. */
#include "jobrunner/dialog_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/chat/dialog_html.h"
#include "lib/chat/turn.h"

enum {
    PAGE_TURNS = 50,
    AGAIN_MS = 250,         /* while Redis is away */
};

static const struct dialog_fault
    gone = { false, "dialog_gone", "The dialog does not exist any more." },
    broken = { false, "dialog_broken", "A turn of the dialog cannot be read." },
    too_large = { false, "dialog_too_large", "The dialog is too large for one document." },
    unreadable = { true, "dialog_unreadable", "The dialog could not be read." };

struct dialog_read {
    struct sessions     *sessions;      /* borrowed, as the next two */
    const struct task   *task;
    struct buf          *html;
    dialog_read_fn      *fn;
    void                *arg;
    struct timer         again;
    struct session_read *page;          /* under way, or NULL */
    bool                 has_last;      /* the facts are known */
    int64_t              done;          /* turns that are rendered */
    struct dialog_facts  facts;
    char                 model[128];    /* what facts.model points to */
};

static void ask(void *arg);
static void on_page(void *arg, const struct session_page *page, const struct err *e);

struct dialog_read *dialog_read(struct loop *l, struct sessions *s, const struct task *t,
                                struct buf *html, dialog_read_fn *fn, void *arg)
{
    struct dialog_read *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    *r = (struct dialog_read){ .sessions = s, .task = t, .html = html, .fn = fn, .arg = arg };
    r->facts = (struct dialog_facts){ .title = t->session, .session_id = t->session,
                                      .turns = t->turns, .model = r->model };
    timer_init(&r->again, l, ask, r);
    ask(r);
    return r;
}

void dialog_read_cancel(struct dialog_read *r)
{
    if (!r)
        return;
    timer_stop(&r->again);
    session_read_cancel(r->page);
    free(r);
}

static void done(struct dialog_read *r, const struct dialog_fault *f)
{
    dialog_read_fn *fn = r->fn;
    void *arg = r->arg;

    dialog_read_cancel(r);
    fn(arg, f);
}

static void ask(void *arg)
{
    struct dialog_read *r = arg;
    const struct task *t = r->task;
    int64_t first = r->done, count = t->turns - r->done;

    if (!r->has_last) {
        first = t->turns > 0 ? t->turns - 1 : 0;
        count = t->turns > 0;
    }
    r->page = session_read_as_of(r->sessions, t->tenant, t->session, strlen(t->session),
                                 t->created_at, first, count < PAGE_TURNS ? count : PAGE_TURNS,
                                 on_page, r);
    if (!r->page)
        timer_set(&r->again, AGAIN_MS);
}

/* Turns are only ever appended; one that is missing, or a session younger than the task, means
 * that the dialog was deleted, and perhaps another one has its name. */
static bool is_ours(const struct dialog_read *r, const struct session_page *page)
{
    return page->exists && page->created_at <= r->task->created_at &&
           (page->count > 0 || r->task->turns == 0);
}

static bool decode(const struct dialog_read *r, const struct session_part *entry, struct turn *t,
                   struct turn_holder *holder)
{
    struct err e = ERR_NONE;

    if (turn_decode(entry->s, entry->len, t, holder, &e) == ERR_OK)
        return true;
    log_error(NULL, "task=%s turn=%" PRId64 " unreadable words=\"%s\"", r->task->id, r->done + 1,
              e.detail);
    return false;
}

static bool take_last(struct dialog_read *r, const struct session_page *page)
{
    struct turn_holder holder;
    struct turn last;

    r->has_last = true;
    if (page->count == 0) {
        dialog_html_begin(r->html, &r->facts);
        return true;
    }
    if (!decode(r, &page->entries[page->count - 1], &last, &holder))
        return false;
    r->facts.ended_at = last.answered_at;
    snprintf(r->model, sizeof r->model, "%s", last.model);
    turn_release(&holder);
    return true;
}

static bool take_turns(struct dialog_read *r, const struct session_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        struct turn_holder holder;
        struct turn t;

        if (!decode(r, &page->entries[i], &t, &holder))
            return false;
        if (r->done == 0) {
            r->facts.started_at = t.asked_at;
            dialog_html_begin(r->html, &r->facts);
        }
        dialog_html_turn(r->html, &t, ++r->done);
        turn_release(&holder);
    }
    return true;
}

static void on_page(void *arg, const struct session_page *page, const struct err *e)
{
    struct dialog_read *r = arg;

    r->page = NULL;
    if (e && e->code == ERR_STORE) {
        timer_set(&r->again, AGAIN_MS);
    } else if (e) {
        log_error(NULL, "task=%s dialog=unreadable words=\"%s\"", r->task->id, e->detail);
        done(r, &unreadable);
    } else if (!is_ours(r, page)) {
        done(r, &gone);
    } else if (!(r->has_last ? take_turns(r, page) : take_last(r, page))) {
        done(r, &broken);
    } else if (!buf_ok(r->html)) {
        done(r, &too_large);
    } else if (r->done < r->task->turns) {
        ask(r);
    } else {
        dialog_html_end(r->html);
        done(r, buf_ok(r->html) ? NULL : &too_large);
    }
}
