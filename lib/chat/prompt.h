#ifndef CONFAB_PROMPT_H
#define CONFAB_PROMPT_H
/* The system messages: prompts/<name>.md, read once at start. */

#include <stddef.h>

#include "lib/base/err.h"

struct prompts;
/* Every *.md of the folder but hidden ones, without the newlines at their ends; ERR_INVALID
 * (naming the file) for one that is empty, larger than 64 KiB or not UTF-8, and when
 * default.md is missing. */
enum err_code prompts_load(const char *dir, struct prompts **out, struct err *e);
void          prompts_free(struct prompts *p);
/* Its text, or NULL when there is none of that name. "" means default. Borrowed. */
const char   *prompts_get(const struct prompts *p, const char *name);
/* "default, poet, tutor". Borrowed. */
const char   *prompts_names(const struct prompts *p);

#endif
