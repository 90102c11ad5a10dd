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

#include "lib/chat/dialog_format.h"

void dialog_html_init(void);                 /* once per process */
bool dialog_html_begin(struct buf *out, const struct dialog_facts *f);
bool dialog_html_turn(struct buf *out, const struct turn *t, int64_t number);
bool dialog_html_end(struct buf *out);
/* Instead of the end: the reader learns that the rest is missing. */
bool dialog_html_broken(struct buf *out, const char *why);

#endif
