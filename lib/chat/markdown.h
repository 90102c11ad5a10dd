#ifndef CONFAB_MARKDOWN_H
#define CONFAB_MARKDOWN_H
/* Markdown (GFM: tables, strikethrough, autolinks, task lists) as HTML with inline styles, which
 * survive both a browser and Google's import. The only file that includes cmark-gfm. No I/O.
 *
 * Nothing of the text is lost or run: raw HTML is shown as text, a link whose target is not http,
 * https or mailto keeps its words only, an image becomes a link (nobody fetches it). The result
 * holds no headings above <h3>.
 *
 * Hostile text costs bounded time and memory: what nests too deep or makes the parser
 * ask for too much is shown as plain text instead. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

void markdown_init(void);   /* once per process, before any thread */
/* text: UTF-8. False when `out` is full. */
bool markdown_html(struct buf *out, const char *text, size_t len);

/* Does it end with its text? False when something that is open at the end (code, a comment) would
 * swallow what follows, or when that cannot be told within bounds. */
bool markdown_is_closed(const char *text, size_t len);

/* Plain text as paragraphs: line breaks, indents and blank lines are kept, in Google Docs too. */
bool markdown_plain(struct buf *out, const char *text, size_t len);

#endif
