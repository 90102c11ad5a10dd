#ifndef CONFAB_PROMPT_H
#define CONFAB_PROMPT_H
/* The system messages: prompts/<name>.md, read once at start. A file may begin with settings of
 * its own, between two lines of dashes:
 *
 *   ---
 *   model: gpt-4o
 *   temperature: 0.3
 *   token_limit: 2000
 *   ---
 *   You are a patient teacher. */

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/chat/model.h"

struct prompt {
    char *name, *text;
    char *model;                    /* "" = as the settings say */
    struct model_options options;   /* borrows model */
    int64_t context_tokens;         /* -1 = as the settings say */
};

struct prompts;
/* Every *.md of the folder but hidden ones, without the newlines at their ends; ERR_INVALID
 * (naming the file) for one that is empty, larger than 64 KiB or not UTF-8, or whose settings
 * are wrong (then the line is named as well), and when default.md is missing. */
enum err_code prompts_load(const char *dir, struct prompts **out, struct err *e);
void          prompts_free(struct prompts *p);
/* NULL when there is none of that name. "" means default. Borrowed. */
const struct prompt *prompts_find(const struct prompts *p, const char *name);
/* Its text alone. */
const char   *prompts_get(const struct prompts *p, const char *name);
/* "default, poet, tutor". Borrowed. */
const char   *prompts_names(const struct prompts *p);

/* prompt_head.c: reads the settings at the beginning of a file's text into p, and takes them off
 * the text. ERR_INVALID names path and line. p->model is the caller's to free. */
enum err_code prompt_head_read(struct prompt *p, struct buf *text, const char *path,
                               struct err *e);

#endif
