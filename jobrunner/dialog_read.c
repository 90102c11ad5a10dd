/*   LAST -> PAGE* -> the end
 *
 * The last turn comes first: the head of the page says when the dialog ended. A short dialog comes
 * as a whole, with its task or by one question; only if that was too much for one answer it goes on
 * from LAST. */
#include "jobrunner/dialog_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/chat/dialog_html.h"
#include "lib/chat/task_work.h"
#include "lib/chat/turn.h"

enum {
    PAGE_TURNS = TASK_PAGE_TURNS,
    TURN_MAX = 64 << 20,    /* bytes of a turn's HTML */
    AGAIN_MS = 250,         /* while Redis is away */
};

static const struct dialog_fault
    gone = { false, "dialog_gone", "The dialog does not exist any more." },
    broken = { false, "dialog_broken", "A turn of the dialog cannot be read." },
    too_large = { false, "dialog_too_large", "The dialog is too large to be written." },
    unreadable = { true, "dialog_unreadable", "The dialog could not be read." };

struct dialog_read {
    struct sessions     *sessions;      /* borrowed, as the next two */
    const struct task   *task;
    struct dialog_pages *pages;
    dialog_read_fn      *fn;
    void                *arg;
    struct timer         again;         /* asks once more */
    struct timer         begun;         /* tells what came of the page that there was already */
    const struct dialog_fault *fault;   /* the same */
    struct session_read *page;          /* under way, or NULL */
    bool                 at_once;       /* the whole dialog is asked for */
    bool                 has_last;      /* the facts are known */
    int64_t              done;          /* turns that are rendered */
    int64_t              chars;         /* of the page so far, in UTF-16 units */
    struct dialog_facts  facts;
    char                 model[128];    /* what facts.model points to */
    char                 title[KEYS_SESSION_MAX + 24];      /* the same of facts.title */
};

static void ask(void *arg);
static void on_begun(void *arg);
static const struct dialog_fault *take(struct dialog_read *r, const struct session_page *page);
static void on_page(void *arg, const struct session_page *page, const struct err *e);

struct dialog_read *dialog_read(struct loop *l, struct sessions *s, const struct task *t,
                                const struct session_page *begun, struct dialog_pages *pages,
                                dialog_read_fn *fn, void *arg)
{
    struct dialog_read *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    *r = (struct dialog_read){ .sessions = s, .task = t, .pages = pages, .fn = fn, .arg = arg };
    pages->count = 0;
    r->at_once = t->turns <= PAGE_TURNS;
    snprintf(r->title, sizeof r->title, "%s", t->session);
    r->facts = (struct dialog_facts){ .title = r->title, .session_id = t->session,
                                      .turns = t->turns, .model = r->model };
    timer_init(&r->again, l, ask, r);
    timer_init(&r->begun, l, on_begun, r);
    if (begun) {
        r->fault = take(r, begun);
        timer_set(&r->begun, 0);
    } else {
        ask(r);
    }
    return r;
}

void dialog_read_cancel(struct dialog_read *r)
{
    if (!r)
        return;
    timer_stop(&r->again);
    timer_stop(&r->begun);
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

    if (!r->has_last && !r->at_once) {
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

/* What Google counts: the text outside of tags. An entity counts for more than it is. */
static int64_t characters(const struct buf *html)
{
    int64_t units = 0;
    bool tag = false;

    for (size_t i = 0; i < html->len; i++) {
        unsigned char c = (unsigned char)html->data[i];

        if (c == '<')
            tag = true;
        if (!tag)
            units += ((c & 0xC0) != 0x80) + (c >= 0xF0);
        if (c == '>')
            tag = false;
    }
    return units;
}

/* html holds one more page. */
static void page_ends(struct dialog_read *r)
{
    struct dialog_pages *p = r->pages;

    dialog_html_end(&p->html);
    p->ends[p->count++] = p->html.len;
    r->chars = 0;
}

static void page_begins(struct dialog_read *r)
{
    if (r->pages->count > 0)
        snprintf(r->title, sizeof r->title, "%s (part %zu)", r->task->session,
                 r->pages->count + 1);
    dialog_html_begin(&r->pages->html, &r->facts);
}

/* On this page or on a new one. False: there would be too many pages. */
static bool add_turn(struct dialog_read *r, const struct buf *turn)
{
    int64_t chars = characters(turn);

    if (r->pages->page_max > 0 && r->chars > 0 && r->chars + chars > r->pages->page_max) {
        if (r->pages->count + 1 == STORE_PAGES_MAX)
            return false;
        page_ends(r);
        page_begins(r);
    }
    r->chars += chars;
    buf_add(&r->pages->html, turn->data, turn->len);
    return true;
}

static bool render_turn(struct dialog_read *r, const struct turn *t)
{
    struct buf turn;
    bool ok;

    if (r->done == 0) {
        r->facts.started_at = t->asked_at;
        page_begins(r);
    }
    buf_init(&turn, TURN_MAX);
    ok = dialog_html_turn(&turn, t, ++r->done) && add_turn(r, &turn);
    buf_close(&turn);
    return ok && buf_ok(&r->pages->html);
}

static bool take_last(struct dialog_read *r, const struct session_page *page)
{
    struct turn_holder holder;
    struct turn last;

    r->has_last = true;
    if (page->count == 0) {
        page_begins(r);
        return true;
    }
    if (!decode(r, &page->entries[page->count - 1], &last, &holder))
        return false;
    r->facts.ended_at = last.answered_at;
    snprintf(r->model, sizeof r->model, "%s", last.model);
    turn_release(&holder);
    return true;
}

/* NULL: all is well. */
static const struct dialog_fault *take_turns(struct dialog_read *r,
                                             const struct session_page *page)
{
    bool fits = true;

    for (size_t i = 0; i < page->count && fits; i++) {
        struct turn_holder holder;
        struct turn t;

        if (!decode(r, &page->entries[i], &t, &holder))
            return &broken;
        fits = render_turn(r, &t);
        turn_release(&holder);
    }
    return fits ? NULL : &too_large;
}

static const struct dialog_fault *take(struct dialog_read *r, const struct session_page *page)
{
    if (!is_ours(r, page))
        return &gone;
    if (r->at_once && (int64_t)page->count < r->task->turns) {
        r->at_once = false;
        return NULL;
    }
    if (!r->has_last) {
        if (!take_last(r, page))
            return &broken;
        if (!r->at_once)
            return NULL;
    }
    return take_turns(r, page);
}

/* A page was taken. */
static void go_on(struct dialog_read *r, const struct dialog_fault *f)
{
    if (f) {
        done(r, f);
    } else if (r->done < r->task->turns) {
        ask(r);
    } else {
        page_ends(r);
        done(r, buf_ok(&r->pages->html) ? NULL : &too_large);
    }
}

static void on_begun(void *arg)
{
    struct dialog_read *r = arg;

    go_on(r, r->fault);
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
    } else {
        go_on(r, take(r, page));
    }
}
