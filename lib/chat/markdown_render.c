#include "lib/chat/markdown_render.h"

#include <cmark-gfm-core-extensions.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"
#include "lib/chat/direction.h"
#include "lib/chat/markdown_styles.h"

enum { DEPTH_MAX = 100 };   /* of blocks and inlines in each other */

struct render {
    struct buf        *out;
    int                depth;
    cmark_node        *anchor;      /* the link or image that is our open <a>, or NULL */
    bool               in_head;     /* in the head row of a table */
    int                column;
    const uint8_t     *alignment;   /* of the columns; borrowed from the tree */
    int                columns;
};

static void text(struct render *r, const char *s)
{
    if (s)
        text_html(r->out, s, strlen(s));
}

/* --- direction --- */

/* Looks at the first words only, so that lists within lists cost little. */
static const char *direction(cmark_node *block)
{
    enum { NODES = 64 };
    cmark_iter *walk = cmark_iter_new(block);
    enum direction d = DIRECTION_NONE;
    int nodes = 0;

    while (d == DIRECTION_NONE && nodes++ < NODES && cmark_iter_next(walk) != CMARK_EVENT_DONE) {
        cmark_node *node = cmark_iter_get_node(walk);
        if (cmark_node_get_type(node) == CMARK_NODE_TEXT) {
            const char *s = cmark_node_get_literal(node);
            d = direction_of(s, strlen(s));
        }
    }
    cmark_iter_free(walk);
    return direction_attribute(d);
}

static void open_block(struct render *r, const char *tag, cmark_node *node, const char *style)
{
    buf_addf(r->out, "<%s%s", tag, direction(node));
    if (style)
        buf_addf(r->out, " style=\"%s\"", style);
    buf_addc(r->out, '>');
}

/* --- links: one <a> at a time, whatever is nested in it --- */

static bool target_allowed(const char *url)
{
    return strncasecmp(url, "https://", 8) == 0 || strncasecmp(url, "http://", 7) == 0
        || strncasecmp(url, "mailto:", 7) == 0;
}

static void target(struct buf *out, const char *url)
{
    for (; *url; url++) {
        unsigned char c = (unsigned char)*url;
        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c))
            buf_addf(out, "%%%02X", c);
        else
            text_html(out, url, 1);
    }
}

static void link_enter(struct render *r, cmark_node *node)
{
    const char *url = cmark_node_get_url(node);

    if (r->anchor || !url || !target_allowed(url))
        return;
    r->anchor = node;
    buf_adds(r->out, "<a href=\"");
    target(r->out, url);
    buf_adds(r->out, "\" rel=\"noopener noreferrer\" style=\"" STYLE_LINK "\">");
}

static void link_leave(struct render *r, cmark_node *node)
{
    if (r->anchor != node)
        return;
    r->anchor = NULL;
    buf_adds(r->out, "</a>");
}

static void image_enter(struct render *r, cmark_node *node)
{
    link_enter(r, node);
    buf_adds(r->out, cmark_node_first_child(node) ? "[image: " : "[image");
}

static void image_leave(struct render *r, cmark_node *node)
{
    buf_addc(r->out, ']');
    link_leave(r, node);
}

/* --- blocks without children --- */

static void code_block(struct render *r, cmark_node *node)
{
    const char *code = cmark_node_get_literal(node);
    size_t len = code ? strlen(code) : 0;

    while (len && code[len - 1] == '\n')
        len--;
    /* Code is written from left to right, also in an Arabic text. */
    buf_adds(r->out, "<table dir=\"ltr\" style=\"" STYLE_CODE_BOX "\"><tr><td style=\""
                     STYLE_CODE_CELL "\"><pre style=\"" STYLE_PRE "\"><code>");
    if (len && code[0] == '\n')
        buf_addc(r->out, '\n'); /* HTML drops the first line break of a <pre> */
    text_html(r->out, code, len);
    buf_adds(r->out, "</code></pre></td></tr></table>\n");
}

static void code_span(struct render *r, cmark_node *node)
{
    buf_adds(r->out, "<code style=\"" STYLE_CODE "\">");
    text(r, cmark_node_get_literal(node));
    buf_adds(r->out, "</code>");
}

/* --- blocks with children --- */

static bool in_tight_list(cmark_node *paragraph)
{
    cmark_node *list = cmark_node_parent(cmark_node_parent(paragraph));

    return list && cmark_node_get_type(list) == CMARK_NODE_LIST
        && cmark_node_get_list_tight(list);
}

static void paragraph(struct render *r, cmark_node *node, bool enter)
{
    if (in_tight_list(node)) {
        if (enter && cmark_node_previous(node))
            buf_adds(r->out, "<br>");
    } else if (enter)
        open_block(r, "p", node, NULL);
    else
        buf_adds(r->out, "</p>\n");
}

/* The document's title is <h1>, a turn <h2>. */
static void heading(struct render *r, cmark_node *node, bool enter)
{
    int level = cmark_node_get_heading_level(node) + 2;
    char tag[] = { 'h', (char)('0' + (level > 6 ? 6 : level)), '\0' };

    if (enter)
        open_block(r, tag, node, NULL);
    else
        buf_addf(r->out, "</%s>\n", tag);
}

static void list(struct render *r, cmark_node *node, bool enter)
{
    bool ordered = cmark_node_get_list_type(node) == CMARK_ORDERED_LIST;
    int start = cmark_node_get_list_start(node);

    if (!enter)
        buf_adds(r->out, ordered ? "</ol>\n" : "</ul>\n");
    else if (ordered && start != 1)
        buf_addf(r->out, "<ol start=\"%d\"%s>\n", start, direction(node));
    else
        buf_addf(r->out, "<%s%s>\n", ordered ? "ol" : "ul", direction(node));
}

static void item(struct render *r, cmark_node *node, bool enter)
{
    if (!enter) {
        buf_adds(r->out, "</li>\n");
        return;
    }
    if (strcmp(cmark_node_get_type_string(node), "tasklist") != 0)
        buf_adds(r->out, "<li>");
    else
        buf_addf(r->out, "<li style=\"" STYLE_TASK "\">%s ",
                 cmark_gfm_extensions_get_tasklist_item_checked(node) ? "\u2611" : "\u2610");
}

/* --- tables --- */

static void table(struct render *r, cmark_node *node, bool enter)
{
    if (!enter) {
        buf_adds(r->out, "</table>\n");
        return;
    }
    r->columns = cmark_gfm_extensions_get_table_columns(node);
    r->alignment = cmark_gfm_extensions_get_table_alignments(node);
    bool rtl = strstr(direction(node), "rtl");
    open_block(r, "table", node, rtl ? STYLE_TABLE ";margin-left:auto" : STYLE_TABLE);
    buf_addc(r->out, '\n');
}

static void table_row(struct render *r, cmark_node *node, bool enter)
{
    r->in_head = enter && cmark_gfm_extensions_get_table_row_is_header(node);
    r->column = 0;
    buf_adds(r->out, enter ? "<tr>" : "</tr>\n");
}

static void table_cell(struct render *r, cmark_node *node, bool enter)
{
    const char *tag = r->in_head ? "th" : "td";

    if (!enter) {
        buf_addf(r->out, "</%s>", tag);
        return;
    }
    char align = r->column < r->columns ? (char)r->alignment[r->column] : '\0';
    const char *side = align == 'c' ? ";text-align:center" : align == 'r' ? ";text-align:right"
                     : align == 'l' ? ";text-align:left" : r->in_head ? ";text-align:start" : "";

    buf_addf(r->out, "<%s%s style=\"%s%s\">", tag, direction(node),
             r->in_head ? STYLE_HEAD_CELL : STYLE_CELL, side);
    r->column++;
}

/* --- the walk --- */

/* Nodes of the extensions have no constants, only names. */
static void extension_node(struct render *r, cmark_node *node, bool enter)
{
    const char *type = cmark_node_get_type_string(node);

    if (strcmp(type, "table") == 0)
        table(r, node, enter);
    else if (strcmp(type, "table_header") == 0 || strcmp(type, "table_row") == 0)
        table_row(r, node, enter);
    else if (strcmp(type, "table_cell") == 0)
        table_cell(r, node, enter);
    else if (strcmp(type, "strikethrough") == 0)
        buf_adds(r->out, enter ? "<s style=\"" STYLE_STRIKE "\">" : "</s>");
}

static void leaf(struct render *r, cmark_node *node)
{
    switch (cmark_node_get_type(node)) {
    case CMARK_NODE_TEXT:
    case CMARK_NODE_HTML_INLINE: /* shown, never interpreted */
        text(r, cmark_node_get_literal(node));
        break;
    case CMARK_NODE_SOFTBREAK:   /* who writes line breaks into a chat means them */
    case CMARK_NODE_LINEBREAK:
        buf_adds(r->out, "<br>");
        break;
    case CMARK_NODE_CODE:
        code_span(r, node);
        break;
    case CMARK_NODE_CODE_BLOCK:
    case CMARK_NODE_HTML_BLOCK:
        code_block(r, node);
        break;
    case CMARK_NODE_THEMATIC_BREAK:
        buf_adds(r->out, "<hr style=\"" STYLE_RULE "\">\n");
        break;
    default:
        break;
    }
}

static void container(struct render *r, cmark_node *node, bool enter)
{
    switch (cmark_node_get_type(node)) {
    case CMARK_NODE_DOCUMENT:
        break;
    case CMARK_NODE_PARAGRAPH:
        paragraph(r, node, enter);
        break;
    case CMARK_NODE_HEADING:
        heading(r, node, enter);
        break;
    case CMARK_NODE_BLOCK_QUOTE:
        if (enter)
            open_block(r, "blockquote", node, STYLE_QUOTE);
        else
            buf_adds(r->out, "</blockquote>\n");
        break;
    case CMARK_NODE_LIST:
        list(r, node, enter);
        break;
    case CMARK_NODE_ITEM:
        item(r, node, enter);
        break;
    case CMARK_NODE_STRONG:
        buf_adds(r->out, enter ? "<strong>" : "</strong>");
        break;
    case CMARK_NODE_EMPH:
        buf_adds(r->out, enter ? "<em>" : "</em>");
        break;
    case CMARK_NODE_LINK:
        (enter ? link_enter : link_leave)(r, node);
        break;
    case CMARK_NODE_IMAGE:
        (enter ? image_enter : image_leave)(r, node);
        break;
    default:
        extension_node(r, node, enter);
    }
}

static bool is_leaf(cmark_node *node)
{
    switch (cmark_node_get_type(node)) {
    case CMARK_NODE_TEXT: case CMARK_NODE_HTML_INLINE: case CMARK_NODE_SOFTBREAK:
    case CMARK_NODE_LINEBREAK: case CMARK_NODE_CODE: case CMARK_NODE_CODE_BLOCK:
    case CMARK_NODE_HTML_BLOCK: case CMARK_NODE_THEMATIC_BREAK:
        return true;
    default:
        return false;
    }
}

bool markdown_render(struct buf *out, cmark_node *document, size_t max)
{
    struct render r = { .out = out };
    cmark_iter *walk = cmark_iter_new(document);
    size_t end = out->len + max;
    cmark_event_type event;

    while (buf_ok(out) && out->len <= end && (event = cmark_iter_next(walk)) != CMARK_EVENT_DONE) {
        cmark_node *node = cmark_iter_get_node(walk);

        if (is_leaf(node)) {
            leaf(&r, node);
            continue;
        }
        r.depth += event == CMARK_EVENT_ENTER ? 1 : -1;
        if (r.depth > DEPTH_MAX)
            break;
        container(&r, node, event == CMARK_EVENT_ENTER);
    }
    bool good = buf_ok(out) && out->len <= end && r.depth <= DEPTH_MAX;
    cmark_iter_free(walk);
    return good;
}
