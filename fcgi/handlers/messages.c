/* GET /api/v1/sessions/<id>/messages?limit=&before=: the dialog's latest messages, or those
 * before one that is known, both sides, in order. `next_cursor` is the `before` of the page
 * before this one.
 *
 *   COUNT -> PAGE* -> the reply
 *
 * The number of turns comes first, so that the last page can be asked for. When a page is too
 * large to be read at once, what is left away is its beginning: then it is asked for again,
 * shorter. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/input.h"
#include "fcgi/handlers/output.h"
#include "fcgi/response.h"
#include "lib/chat/dialog_format.h"

enum { SESSION_SEGMENT = 3, LIMIT_MAX = 200, MESSAGE_ROOM = 1024, ID_SIZE = 40 };

/* Messages are counted from 0: turn n has 2n and 2n + 1. */
struct messages {
    struct request *request;        /* borrowed */
    struct segment  session;        /* borrowed from it */
    int64_t         limit;
    int64_t         end;            /* the first message that is not wanted any more */
    int64_t         turns;          /* asked for, from first on; 0 = only counted */
    int64_t         first;
};

static void on_page(void *arg, const struct session_page *page, const struct err *e);

static void fail(struct messages *m, enum err_code code, const char *why)
{
    struct err e = ERR_NONE;

    err_set(&e, code, "%s", why);
    response_error(m->request, &e);
    free(m);
}

static void ask(struct messages *m)
{
    struct request *r = m->request;

    if (!session_read(r->app->sessions, r->tenant, m->session.s, m->session.len, m->first,
                      m->turns, on_page, m))
        fail(m, ERR_INTERNAL, "reading the dialog: out of memory");
}

/* --- the reply --------------------------------------------------------------------------- */

static int64_t first_message(const struct messages *m)
{
    int64_t first = m->end - m->limit;

    return first > 2 * m->first ? first : 2 * m->first;
}

/* False when a turn cannot be read. */
static bool add_messages(struct buf *out, const struct messages *m,
                         const struct session_page *page, struct err *e)
{
    const char *comma = "";

    for (size_t i = 0; i < page->count; i++) {
        int64_t turn = m->first + (int64_t)i;
        struct turn_holder holder;
        struct turn t;

        if (turn_decode(page->entries[i].s, page->entries[i].len, &t, &holder, e) != ERR_OK)
            return false;
        for (int side = DIALOG_USER; side <= DIALOG_ASSISTANT; side++) {
            int64_t number = 2 * turn + side;

            if (number < first_message(m) || number >= m->end)
                continue;
            buf_adds(out, comma);
            dialog_message_json(out, &t, turn + 1, (enum dialog_side)side);
            comma = ",";
        }
        turn_release(&holder);
    }
    return true;
}

static void message_id(char out[ID_SIZE], int64_t number)
{
    snprintf(out, ID_SIZE, "%" PRId64 "-%s", number / 2 + 1, number % 2 ? "assistant" : "user");
}

static void reply(struct messages *m, const struct session_page *page)
{
    struct err e = ERR_NONE;
    size_t room = MESSAGE_ROOM;
    struct buf body;
    char id[ID_SIZE];

    for (size_t i = 0; i < page->count; i++)
        room += page->entries[i].len + MESSAGE_ROOM;
    buf_init(&body, room);
    buf_adds(&body, "{\"items\":[");
    if (!add_messages(&body, m, page, &e)) {
        response_error(m->request, &e);
    } else {
        message_id(id, first_message(m));
        output_list_end(&body, page->count > 0 && first_message(m) > 0 ? id : NULL);
        response_json(m->request, 200, &body);
    }
    buf_close(&body);
    free(m);
}

/* --- the read ---------------------------------------------------------------------------- */

/* The turns that the wanted messages lie in. */
static void aim(struct messages *m, int64_t turns)
{
    if (m->end > 2 * turns)
        m->end = 2 * turns;
    m->first = m->end > m->limit ? (m->end - m->limit) / 2 : 0;
    m->turns = (m->end + 1) / 2 - m->first;
}

static void on_page(void *arg, const struct session_page *page, const struct err *e)
{
    struct messages *m = arg;
    int64_t got;

    if (e) {
        response_error(m->request, e);
        free(m);
        return;
    }
    got = (int64_t)page->count;
    if (!page->exists) {
        fail(m, ERR_NO_SESSION, "there is no such session");
    } else if (m->turns == 0) {
        aim(m, page->turns);
        if (m->turns == 0)
            reply(m, page);
        else
            ask(m);
    } else if (got == 0) {
        fail(m, ERR_NO_SESSION, "the session was deleted meanwhile");
    } else if (got < m->turns) {
        m->first += m->turns - got;
        m->turns = got;
        ask(m);
    } else {
        reply(m, page);
    }
}

/* "<turn>-user" or "<turn>-assistant". */
static enum err_code read_before(const struct request *r, int64_t *end, struct err *e)
{
    char id[ID_SIZE];
    size_t digits;
    bool user;

    *end = INT64_MAX;
    if (input_query(r, "before", id, sizeof(id), e) != ERR_OK || !*id)
        return e->code;
    digits = strspn(id, "0123456789");
    user = strcmp(id + digits, "-user") == 0;
    if (digits == 0 || digits > 15 || (!user && strcmp(id + digits, "-assistant") != 0) ||
        atoll(id) < 1)
        return err_field(e, "before", "is not a message's id");
    *end = 2 * (atoll(id) - 1) + !user;
    return ERR_OK;
}

void handle_messages(struct request *r)
{
    struct messages *m = calloc(1, sizeof(*m));
    struct err e = ERR_NONE;

    if (!m)
        err_set(&e, ERR_INTERNAL, "out of memory");
    else if (input_session(r, SESSION_SEGMENT, &m->session, &e) == ERR_OK &&
             input_limit(r, LIMIT_MAX, &m->limit, &e) == ERR_OK)
        read_before(r, &m->end, &e);
    if (e.code != ERR_OK) {
        free(m);
        response_error(r, &e);
        return;
    }
    m->request = r;
    ask(m);
}
