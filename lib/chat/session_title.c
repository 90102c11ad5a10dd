#include "lib/chat/session_title.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char ellipsis[] = "\u2026";

enum { CUT_MAX = SESSION_TITLE_MADE - (sizeof(ellipsis) - 1) };

/* The character at s, which is valid UTF-8. */
static uint32_t decode(const char *s, size_t *len)
{
    const unsigned char *u = (const unsigned char *)s;

    if (u[0] < 0x80)
        return *len = 1, u[0];
    if (u[0] < 0xE0)
        return *len = 2, (u[0] & 0x1Fu) << 6 | (u[1] & 0x3Fu);
    if (u[0] < 0xF0)
        return *len = 3, (u[0] & 0x0Fu) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu);
    *len = 4;
    return (u[0] & 0x07u) << 18 | (u[1] & 0x3Fu) << 12 | (u[2] & 0x3Fu) << 6 | (u[3] & 0x3Fu);
}

static bool is_blank(uint32_t c)
{
    return c <= ' ' || (c >= 0x7F && c <= 0xA0) || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x3000 || c == 0xFEFF;
}

/* Marks that turn the writing direction of what follows: cut off from their end they would
 * turn whatever the title stands in. */
static bool is_direction_mark(uint32_t c)
{
    return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* Belongs to the character before it: combining marks, joiners, variation selectors, skin tones. */
static bool continues(uint32_t c)
{
    return (c >= 0x0300 && c <= 0x036F) || c == 0x200D || (c >= 0x20D0 && c <= 0x20FF) ||
           (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0x1F3FB && c <= 0x1F3FF);
}

size_t session_title_of(const char *text, size_t len, char out[SESSION_TITLE_MADE + 1])
{
    size_t used = 0, cut = 0, word_cut = 0;     /* cut: the last place where it may end */
    uint32_t before = 0;
    bool space = false;

    for (size_t at = 0, n; at < len; at += n) {
        uint32_t c = decode(text + at, &n);

        if (is_blank(c)) {
            space = used > 0;
            continue;
        }
        if (is_direction_mark(c))
            continue;
        if (used <= CUT_MAX && !continues(c) && before != 0x200D) {
            cut = used;
            if (space)
                word_cut = used;
        }
        if (used + space + n > SESSION_TITLE_MADE) {
            used = word_cut > CUT_MAX / 3 ? word_cut : cut;
            memcpy(out + used, ellipsis, sizeof(ellipsis));
            return used + sizeof(ellipsis) - 1;
        }
        if (space)
            out[used++] = ' ';
        memcpy(out + used, text + at, n);
        used += n;
        space = false;
        before = c;
    }
    out[used] = '\0';
    return used;
}
