#ifndef CONFAB_OPENAI_CHUNK_H
#define CONFAB_OPENAI_CHUNK_H
/* Inside of openai.c: reads the chunks that nearly all of a stream consists of without building a
 * tree of them, which is most of what a token costs otherwise. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct openai_chunk {
    const char *content, *finish, *model;   /* between their quotes, borrowed; NULL: not said */
    size_t      content_len, finish_len, model_len;
    bool        usage;                      /* there is one; each of its counts -1 when not said */
    int64_t     prompt_tokens, completion_tokens, total_tokens;
};

/* True: this is JSON, a chunk with at most one choice, index 0, and all that openai_read_event
 * would find in it stands in *out: no error, no refusal, no parts. content may hold
 * escapes, but no \u; the other two hold none. False: it takes a parser to tell. */
bool openai_chunk_read(const char *json, size_t len, struct openai_chunk *out);

#endif
