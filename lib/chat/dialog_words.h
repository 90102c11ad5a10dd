#ifndef CONFAB_DIALOG_WORDS_H
#define CONFAB_DIALOG_WORDS_H
/* What all forms of a written dialog say in the same words: times, lengths, and text that a
 * reader can see. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/chat/dialog_format.h"

/* "1 March 2026, 09:30:05 UTC"; the date is left out on the day of `before` (0: never). */
void dialog_add_time(struct buf *out, int64_t at, int64_t before);
/* "1 March 2026, 09:30 – 09:52 UTC" */
void dialog_add_period(struct buf *out, int64_t from, int64_t to);
/* "12 turns, 22 minutes" */
void dialog_add_length(struct buf *out, const struct dialog_facts *f);

/* A copy without control characters, for which no form has a place and of which none is meant to
 * be read; every line ends in '\n'. NULL when memory is out; to be freed. */
char *dialog_printable(const char *s, size_t len, size_t *out_len);
/* Of such a copy: is there anything to be seen? */
bool dialog_has_words(const char *s, size_t len);

#endif
