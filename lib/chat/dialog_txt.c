#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/dialog_format.h"
#include "lib/chat/dialog_words.h"

#define RULE "------------------------------------------------------------------------\n"

static bool begin(struct buf *out, const struct dialog_facts *f)
{
    buf_addf(out, "%s\n\n", f->title);
    if (f->started_at) {
        buf_adds(out, "When:    ");
        dialog_add_period(out, f->started_at, f->ended_at);
        buf_addc(out, '\n');
    }
    buf_adds(out, "Length:  ");
    dialog_add_length(out, f);
    buf_addc(out, '\n');
    if (f->model[0])
        buf_addf(out, "Model:   %s\n", f->model);
    if (strcmp(f->title, f->session_id) != 0)
        buf_addf(out, "Session: %s\n", f->session_id);
    return buf_ok(out);
}

static bool add_words(struct buf *out, const char *s, size_t len)
{
    size_t n;
    char *clean = dialog_printable(s, len, &n);

    if (!clean)
        return false;
    if (dialog_has_words(clean, n))
        buf_add(out, clean, n);
    else
        buf_adds(out, "(no text)");
    free(clean);
    return buf_addc(out, '\n');
}

static bool turn(struct buf *out, const struct turn *t, int64_t number)
{
    buf_addf(out, "\n" RULE "User, #%" PRId64 ", ", number);
    dialog_add_time(out, t->asked_at, 0);
    buf_adds(out, "\n\n");
    if (!add_words(out, t->user, t->user_len))
        return false;
    buf_adds(out, "\nAssistant, ");
    if (t->model[0])
        buf_addf(out, "%s, ", t->model);
    dialog_add_time(out, t->answered_at, t->asked_at);
    buf_adds(out, "\n\n");
    if (!add_words(out, t->bot, t->bot_len))
        return false;
    if (t->interrupted)
        buf_adds(out, "\n[interrupted: this answer was cut off before its end]\n");
    return buf_ok(out);
}

static bool end(struct buf *out)
{
    return buf_adds(out, "\n" RULE);
}

static bool broken(struct buf *out, const char *why)
{
    return buf_addf(out, "\n" RULE "[This copy is not complete: %s]\n", why);
}

const struct dialog_format dialog_txt = {
    .name = "txt",
    .content_type = "text/plain; charset=utf-8",
    .begin = begin,
    .turn = turn,
    .end = end,
    .broken = broken,
};
