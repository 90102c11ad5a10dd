#ifndef CONFAB_OPENAI_MASK_H
#define CONFAB_OPENAI_MASK_H
/* A server's words, made fit for a log line. */

#include <stddef.h>

/* Copies text (UTF-8, or not) into out, at most size - 1 bytes and cut between characters:
 * control characters become spaces; `secret` (NULL or "": none) and words that look like keys
 * become "***". */
void openai_mask(char *out, size_t size, const char *text, size_t len, const char *secret);

#endif
