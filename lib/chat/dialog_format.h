#ifndef CONFAB_DIALOG_FORMAT_H
#define CONFAB_DIALOG_FORMAT_H
/* The forms in which a dialog can be written down. Each is written in parts, so that a long
 * dialog can be rendered page by page as it is read: begin, any number of turns, then end or
 * broken. No I/O. A call is false when `out` is full or memory is out: then what was written
 * is of no use. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/chat/turn.h"

struct session_record;

struct dialog_facts {
    const char *title;                       /* of the document: the session id or its title */
    const char *session_id;
    int64_t     started_at, ended_at;        /* wall ms; 0 = not known */
    int64_t     turns;
    const char *model;                       /* "" = not known */
    const struct session_record *session;    /* for json; else it may be NULL */
};

struct dialog_format {
    const char *name;                        /* also the file name's extension */
    const char *content_type;
    bool (*begin)(struct buf *out, const struct dialog_facts *f);
    bool (*turn)(struct buf *out, const struct turn *t, int64_t number);
    bool (*end)(struct buf *out);
    bool (*broken)(struct buf *out, const char *why);   /* tells that the rest is missing */
};

#define DIALOG_FORMATS "md, html, json, txt"
/* NULL: there is none of that name. */
const struct dialog_format *dialog_format_find(const char *name);

/* dialog_md.c: the answers' Markdown as it is, the rest escaped, so that it shows as written. */
extern const struct dialog_format dialog_md;
/* dialog_txt.c */
extern const struct dialog_format dialog_txt;
/* dialog_json.c: {"session": ..., "messages": [...], "complete": true} */
extern const struct dialog_format dialog_json;
/* The same messages as a list of the HTTP interface; not among those that are found by name. */
extern const struct dialog_format dialog_history;

/* Both sides of a turn as messages of the HTTP interface: {"id","role","content","created_at"},
 * and "interrupted":true where it applies. Ids are "<number of the turn>-user" and
 * "<number>-assistant". */
enum dialog_side { DIALOG_USER, DIALOG_ASSISTANT };
bool dialog_message_json(struct buf *out, const struct turn *t, int64_t number,
                         enum dialog_side side);

#endif
