#ifndef CONFAB_OPENAI_H
#define CONFAB_OPENAI_H
/* The wire format of chat completions, as OpenAI and the servers compatible with it speak
 * it: what is sent, and what an answer says. No I/O. Errors are in openai_error.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/settings.h"
#include "lib/chat/model.h"
#include "lib/io/sse.h"

/* base/chat/completions; a query in base (Azure's api-version) stays at the end. */
bool openai_url(struct buf *out, const char *base);
/* The request: always for a stream. The window's parts go out as they stand. */
bool openai_request_body(struct buf *out, const struct model_settings *s,
                         const struct model_question *q);

/* What an answer has said so far. Zeroed: nothing. */
struct openai_reader {
    char   finish_reason[40];       /* of the first choice; "" = none yet */
    char   model[96];               /* "" = not said */
    struct model_usage usage;
    bool   done;                    /* [DONE] was read; nothing after it counts */
};

/* The answer is whole: it has a finish reason, and no call below has failed. [DONE] or the
 * end of the stream prove nothing. */
static inline bool openai_finished(const struct openai_reader *r)
{
    return r->finish_reason[0] != '\0';
}

/* One event of the stream. Text and refusals of the first choice are added to `text`: whole
 * UTF-8 characters, U+0000 as U+FFFD. Fails on what is no chunk, on an error record (its
 * code), and when the text passes text's maximum. secret: see openai_error.h. */
enum err_code openai_read_event(struct openai_reader *r, const struct sse_event *event,
                                struct buf *text, const char *secret, struct err *e);
/* The same for the whole answer of a server that does not stream. */
enum err_code openai_read_whole(struct openai_reader *r, const char *body, size_t len,
                                struct buf *text, const char *secret, struct err *e);

#endif
