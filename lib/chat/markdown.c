#include "lib/chat/markdown.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>

#include "lib/base/text.h"
#include "lib/chat/direction.h"
#include "lib/chat/markdown_render.h"

/* --- the parser's memory ---
 *
 * cmark has no limits, cannot be told to stop, and ends the process when memory is out. A table
 * whose head has 10,000 cells, say, fills up every short row below it: 1 MB of text can ask for
 * gigabytes. Therefore it allocates from an arena with an end, and reaching that end
 * leaves the parser by longjmp. To free the arena is to free all that it made. */

enum { CHUNK = 256 * 1024, ALIGN = 16 };

struct chunk {
    struct chunk *next;
    size_t        used, size;
    _Alignas(ALIGN) char bytes[];
};

struct arena {
    struct chunk *chunks;
    size_t        total, max;
    jmp_buf       full;
};

/* cmark's allocator takes no argument of its own. Set only while a text is parsed. */
static _Thread_local struct arena *arena;

static void *arena_alloc(size_t size)
{
    if (size > arena->max)
        longjmp(arena->full, 1);

    size_t need = ALIGN + ((size + ALIGN - 1) & ~(size_t)(ALIGN - 1));
    struct chunk *c = arena->chunks;

    if (!c || c->size - c->used < need) {
        size_t room = need > CHUNK ? need : CHUNK;

        if (arena->total + room > arena->max || !(c = calloc(1, sizeof(*c) + room)))
            longjmp(arena->full, 1);
        c->size = room;
        c->next = arena->chunks;
        arena->chunks = c;
        arena->total += room;
    }
    char *at = c->bytes + c->used;
    memcpy(at, &size, sizeof(size)); /* for arena_realloc */
    c->used += need;
    return at + ALIGN;
}

static void *arena_calloc(size_t count, size_t size)
{
    if (size && count > arena->max / size)
        longjmp(arena->full, 1);
    return arena_alloc(count * size); /* chunks come zeroed, and nothing is used twice */
}

static void *arena_realloc(void *old, size_t size)
{
    void *bytes = arena_alloc(size);
    size_t had = 0;

    if (old) {
        memcpy(&had, (char *)old - ALIGN, sizeof(had));
        memcpy(bytes, old, had < size ? had : size);
    }
    return bytes;
}

static void arena_free(void *bytes)
{
    (void)bytes;
}

static void arena_close(struct arena *a)
{
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
}

static cmark_mem arena_mem = { arena_calloc, arena_realloc, arena_free };

/* --- Markdown --- */

/* Dense Markdown needs some 50 times its length. Within one paragraph cmark looks for mail
 * addresses and brackets in time that grows with the square of its length. */
enum { MEMORY_BASE = 16 << 20, MEMORY_PER_BYTE = 64, MEMORY_MAX = 96 << 20,
       PARAGRAPH_MAX = 64 << 10, OUTPUT_BASE = 256 << 10, OUTPUT_PER_BYTE = 32 };

void markdown_init(void)
{
    cmark_gfm_core_extensions_ensure_registered();
}

static cmark_node *parse(const char *text, size_t len)
{
    static const char *const extensions[] = { "table", "strikethrough", "autolink", "tasklist" };
    /* One tilde is "about" in a chat: "~5 to ~10". */
    int options = CMARK_OPT_VALIDATE_UTF8 | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE;
    cmark_parser *p = cmark_parser_new_with_mem(options, &arena_mem);

    for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
        cmark_parser_attach_syntax_extension(p, cmark_find_syntax_extension(extensions[i]));
    cmark_parser_feed(p, text, len);
    return cmark_parser_finish(p);
}

/* The arena is the caller's, so that nothing of ours is lost in a jump. */
static bool parse_and_render(struct arena *a, struct buf *out, const char *text, size_t len)
{
    if (setjmp(a->full) != 0)
        return false;
    return markdown_render(out, parse(text, len), OUTPUT_BASE + OUTPUT_PER_BYTE * len);
}

/* The longest run of lines without an empty one between them. */
static size_t longest_paragraph(const char *text, size_t len)
{
    const char *at = text, *end = text + len, *blank;
    size_t longest = 0;

    for (; (blank = memmem(at, (size_t)(end - at), "\n\n", 2)); at = blank + 2)
        if ((size_t)(blank - at) > longest)
            longest = (size_t)(blank - at);
    return (size_t)(end - at) > longest ? (size_t)(end - at) : longest;
}

static size_t memory_for(size_t len)
{
    return len < (MEMORY_MAX - MEMORY_BASE) / MEMORY_PER_BYTE
         ? MEMORY_BASE + MEMORY_PER_BYTE * len : MEMORY_MAX;
}

static bool ends_in_rule(struct arena *a, const char *text, size_t len)
{
    cmark_node *last;

    if (setjmp(a->full) != 0)
        return false;
    last = cmark_node_last_child(parse(text, len));
    return last && cmark_node_get_type(last) == CMARK_NODE_THEMATIC_BREAK;
}

/* A rule behind it must be found as one. */
bool markdown_is_closed(const char *text, size_t len)
{
    static const char rule[] = "\n\n***\n";
    struct arena a = { .max = memory_for(len) };
    struct buf whole;
    bool closed = false;

    if (longest_paragraph(text, len) > PARAGRAPH_MAX)
        return false;
    buf_init(&whole, len + sizeof(rule));
    buf_add(&whole, text, len);
    if (buf_adds(&whole, rule)) {
        arena = &a;
        closed = ends_in_rule(&a, whole.data, whole.len);
        arena = NULL;
        arena_close(&a);
    }
    buf_close(&whole);
    return closed;
}

bool markdown_html(struct buf *out, const char *text, size_t len)
{
    struct arena a = { .max = memory_for(len) };
    size_t before = out->len;

    if (longest_paragraph(text, len) > PARAGRAPH_MAX)
        return markdown_plain(out, text, len);
    arena = &a;
    bool good = parse_and_render(&a, out, text, len);
    arena = NULL;
    arena_close(&a);
    if (good || !buf_ok(out))
        return good;
    if (out->len > before)
        out->data[out->len = before] = '\0';
    return markdown_plain(out, text, len);
}

/* --- plain text --- */

/* Of several spaces all but the last become fixed ones, as HTML keeps only one. */
static void plain_line(struct buf *out, const char *s, size_t len)
{
    size_t start = 0;

    for (size_t i = 0; i < len; i++) {
        bool fixed = s[i] == ' ' && (i == 0 || (i + 1 < len && s[i + 1] == ' '));

        if (!fixed && s[i] != '\t' && s[i] != '\r')
            continue;
        text_html(out, s + start, i - start);
        if (s[i] != '\r')
            buf_adds(out, s[i] == '\t' ? "&nbsp;&nbsp;&nbsp; " : "&nbsp;");
        start = i + 1;
    }
    text_html(out, s + start, len - start);
}

static bool is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

bool markdown_plain(struct buf *out, const char *text, size_t len)
{
    enum { EMPTY_MAX = 3 };     /* empty paragraphs in a row */
    const char *end = text + len;
    bool open = false;
    int empty = EMPTY_MAX;      /* none at the start */

    for (const char *line = text; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop : end) - line);

        if (!is_blank(line, n)) {
            if (open)
                buf_adds(out, "<br>");
            else
                buf_addf(out, "<p%s>", direction_attribute(direction_of(line, n)));
            plain_line(out, line, n);
            open = true;
            empty = 0;
        } else if (open) {
            buf_adds(out, "</p>\n");
            open = false;
        } else if (empty++ < EMPTY_MAX)
            buf_adds(out, "<p><br></p>\n");
        line = stop ? stop + 1 : end;
    }
    if (open)
        buf_adds(out, "</p>\n");
    return buf_ok(out);
}
