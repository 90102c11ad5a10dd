#ifndef CONFAB_DIALOG_HTML_H
#define CONFAB_DIALOG_HTML_H
/* A dialog as one self-contained HTML page, which browsers show and Google Docs converts well.
 * No I/O.
 *
 * Written in three parts, so that a long dialog can be rendered page by page as it is read:
 * begin, any number of turns, end. What the user wrote is shown as written; the model's answer is
 * Markdown (GFM: tables, strikethrough, autolinks, task lists). Raw HTML is shown as text, never
 * interpreted; link targets other than http, https and mailto are dropped. A call is false
 * when `out` is full or memory is out: then the page is of no use. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/chat/turn.h"

struct dialog_facts {
    const char *title;                       /* of the document: the session id or its title */
    const char *session_id;
    int64_t     started_at, ended_at;        /* wall ms; 0 = not known */
    int64_t     turns;
    const char *model;                       /* "" = not known */
};

void dialog_html_init(void);                 /* once per process */
bool dialog_html_begin(struct buf *out, const struct dialog_facts *f);
bool dialog_html_turn(struct buf *out, const struct turn *t, int64_t number);
bool dialog_html_end(struct buf *out);

#endif
