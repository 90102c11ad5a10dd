#ifndef CONFAB_DIRECTION_H
#define CONFAB_DIRECTION_H
/* Which way a text runs, by its first strong letter (Unicode bidi, P2). Google's import knows
 * dir="rtl" but not dir="auto", so right-to-left is said outright; words of other scripts are left
 * to the browser, and what has no words (a number in a table) follows what is around it. */

#include <stddef.h>

enum direction { DIRECTION_NONE, DIRECTION_LTR, DIRECTION_RTL };

enum direction direction_of(const char *utf8, size_t len);
/* ` dir="rtl"`, ` dir="auto"` or "", with the space before it. */
const char *direction_attribute(enum direction d);

#endif
