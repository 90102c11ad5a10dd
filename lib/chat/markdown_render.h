#ifndef CONFAB_MARKDOWN_RENDER_H
#define CONFAB_MARKDOWN_RENDER_H
/* A parsed document (cmark-gfm's tree) as HTML with inline styles. Part of markdown.c. */

#include <cmark-gfm.h>
#include <stdbool.h>

#include "lib/base/buf.h"

/* False when `out` is full, when it grows by more than max bytes (a hundred links can share one
 * long target), or when the tree is deeper than a reader can follow. */
bool markdown_render(struct buf *out, cmark_node *document, size_t max);

#endif
