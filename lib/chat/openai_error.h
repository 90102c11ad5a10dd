#ifndef CONFAB_OPENAI_ERROR_H
#define CONFAB_OPENAI_ERROR_H
/* What an OpenAI-compatible server says went wrong: which of our codes it is, whether to try
 * again, and when. Read leniently, for every server and every proxy before it has a form of
 * its own.
 *
 * Details are for the log. They are bounded, one line, and hold no keys: `secret`, the key in
 * use ("" or NULL: none), and whatever else looks like one is masked. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum openai_body { OPENAI_STREAM, OPENAI_JSON, OPENAI_OTHER };
enum openai_should_retry { OPENAI_RETRY_UNSAID, OPENAI_RETRY_YES, OPENAI_RETRY_NO };

/* What the header lines say that we need. */
struct openai_head {
    enum openai_body         body;          /* stream when the type is not told */
    enum openai_should_retry should_retry;
    int64_t delay;                          /* ms to wait before a repeat; -1 = not said */
    bool    delay_in_ms;                    /* said by retry-after-ms, which wins */
    char    request_id[64];                 /* printable ASCII; "" = none */
};

void openai_head_init(struct openai_head *h);
/* name in lower case. */
void openai_head_add(struct openai_head *h, const char *name, const char *value);

/* The response with another status than 200. Sets e: ERR_UPSTREAM_REFUSED, ERR_UPSTREAM_BUSY,
 * ERR_UPSTREAM_QUOTA or ERR_UPSTREAM, and its retry_after. True when a repeat may help. */
bool openai_read_error(int status, const struct openai_head *h, const char *body, size_t len,
                       const char *secret, struct err *e);

/* An object that tells of an error where an answer is expected. */
bool          openai_is_error(const json_t *root);
enum err_code openai_error_record(const json_t *root, const char *secret, struct err *e);
/* The data of an `event: error`, in whatever form. */
enum err_code openai_error_event(const char *data, size_t len, const char *secret, struct err *e);

#endif
