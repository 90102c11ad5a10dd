#include "lib/chat/direction.h"

#include <stdbool.h>
#include <stdint.h>

/* Blocks whose letters run from right to left: Hebrew to Arabic Extended-A, their presentation
 * forms, and the historic and newer scripts of the first supplementary plane. */
static bool is_rtl(uint32_t c)
{
    return (c >= 0x0590 && c <= 0x08ff && !(c >= 0x0660 && c <= 0x0669)) || c == 0x200f
        || (c >= 0xfb1d && c <= 0xfdff) || (c >= 0xfe70 && c <= 0xfefc)
        || (c >= 0x10800 && c <= 0x10fff) || (c >= 0x1e800 && c <= 0x1efff);
}

/* Letters of all other scripts; digits, punctuation, symbols and emoji are not strong. */
static bool is_ltr(uint32_t c)
{
    if (c < 0x80)
        return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return (c >= 0xc0 && c < 0x2b9 && c != 0xd7 && c != 0xf7) || (c >= 0x370 && c < 0x590)
        || (c >= 0x900 && c < 0x2000) || c == 0x200e || (c >= 0x2c00 && c < 0x2e00)
        || (c >= 0x3005 && c < 0xd800) || (c >= 0xf900 && c < 0xfb1d)
        || (c >= 0xff21 && c < 0xffe0) || (c >= 0x10000 && c < 0x10800)
        || (c >= 0x11000 && c < 0x1d000) || (c >= 0x20000 && c < 0x40000);
}

/* One character of valid UTF-8; moves *s past it. */
static uint32_t next_char(const unsigned char **s, const unsigned char *end)
{
    uint32_t c = *(*s)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    if (more)
        c &= 0x3fu >> more;
    for (; more && *s < end; more--)
        c = c << 6 | (*(*s)++ & 0x3f);
    return c;
}

enum direction direction_of(const char *utf8, size_t len)
{
    const unsigned char *s = (const unsigned char *)utf8, *end = s + len;

    while (s < end) {
        uint32_t c = next_char(&s, end);
        if (is_rtl(c))
            return DIRECTION_RTL;
        if (is_ltr(c))
            return DIRECTION_LTR;
    }
    return DIRECTION_NONE;
}

const char *direction_attribute(enum direction d)
{
    return d == DIRECTION_RTL ? " dir=\"rtl\"" : d == DIRECTION_LTR ? " dir=\"auto\"" : "";
}
