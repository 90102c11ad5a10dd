#ifndef CONFAB_SESSION_TITLE_H
#define CONFAB_SESSION_TITLE_H
/* What a session is called while nobody has named it: its first words. */

#include <stddef.h>

/* Longest title made here, in bytes: Redis keeps hashes with longer values less compactly. */
enum { SESSION_TITLE_MADE = 64 };

/* The beginning of a text as one line: blanks and control characters become single spaces; a
 * longer text is cut between words if it can be, never inside a character, and ends in "…".
 * Returns the length, 0 when the text has no words. */
size_t session_title_of(const char *text, size_t len, char out[SESSION_TITLE_MADE + 1]);

#endif
