#ifndef CONFAB_MODEL_H
#define CONFAB_MODEL_H
/* Asks the model; the text comes back in pieces.
 *
 * An OpenAI-compatible server is always asked for a stream. Until the first byte of its
 * answer, faults that may pass are tried again (model.retries) after the delay that it names
 * or an exponential one with jitter; exhausted quota never, nor a model that is silent for
 * first_token_timeout. An answer is complete only when it came with a finish reason and
 * without an error record. Without key and URL, and demo = fallback, the demo model answers.
 *
 * Where there are upstreams beside the first, they are asked in order, each with its retries,
 * until a byte of an answer comes; not when the request itself is at fault. One that failed is
 * asked after the others for a while (fallback.h). The error that is told is the first one's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"
#include "lib/chat/session.h"
#include "lib/io/loop.h"

struct model;
struct model_call;

/* s is borrowed. ERR_INVALID when neither an upstream nor the demo model is set up, or when
 * a setting of the upstream cannot be used. */
enum err_code model_new(struct loop *l, const struct settings *s, struct model **out,
                        struct err *e);
void model_free(struct model *m);    /* cancels what runs */

/* What one question asks otherwise than the settings do. */
struct model_options {
    const char *model;              /* NULL or "" = theirs; of the first upstream only, for another
                                       may not have it. Borrowed while the call lasts */
    double      temperature;        /* below 0: theirs */
    int64_t     token_limit;        /* 0: theirs */
};

struct model_question {             /* all borrowed during model_ask only */
    const char *system;
    struct session_part memory;     /* a second system message; len 0 = none */
    const struct session_part *window; size_t window_count;
    const char *user; size_t user_len;
    const struct model_options *options;    /* NULL: as the settings say */
    const struct log *log;
};

struct model_usage { int64_t prompt, completion, total; bool known; };
struct model_answer {
    const char *finish_reason;      /* as the server says: "stop", "length", "content_filter" */
    const char *model;              /* who answered, "" when it did not say */
    struct model_usage usage;
};

struct model_handlers {
    /* A piece of the answer (or of a refusal): whole UTF-8 characters, never empty. Borrowed.
     * May pause or cancel the call. */
    void (*on_text)(void *arg, const char *text, size_t len);
    /* The end. e NULL: the answer is whole, though its text may be empty. ERR_UPSTREAM,
     * ERR_UPSTREAM_REFUSED, ERR_UPSTREAM_BUSY (with the retry_after that the server named),
     * ERR_UPSTREAM_QUOTA, ERR_UPSTREAM_SLOW, ERR_POOL_BUSY (out of files), ERR_INTERNAL (out of
     * memory). answer is NULL when e is set. Both are borrowed. The call is gone. */
    void (*on_done)(void *arg, const struct model_answer *answer, const struct err *e);
};

/* NULL: out of memory, and no callback comes. */
struct model_call *model_ask(struct model *m, const struct model_question *q,
                             const struct model_handlers *on, void *arg);
void model_cancel(struct model_call *c);    /* at once, no callback any more. NULL: nothing */
/* Backpressure: no on_text comes while paused, and TCP holds the server. A fault, or the end
 * of the turn's time, may still end the call. */
void model_pause(struct model_call *c);
void model_resume(struct model_call *c);

/* Who is asked just now, as the model is named there; "" for the demo model. Borrowed. */
const char *model_call_name(const struct model_call *c);

/* All that may be asked, in order; none for the demo model. */
struct model_upstream {
    const char *name;                   /* "model", or that of its section */
    const char *describe;               /* as model_describe */
    uint64_t    asked, failed;          /* turns */
    int64_t     cooling;                /* ms; 0 = it is not */
};
enum { MODEL_UPSTREAMS_MAX = 1 + UPSTREAMS_MAX };
size_t model_upstreams(const struct model *m, struct model_upstream out[MODEL_UPSTREAMS_MAX]);

bool        model_is_demo(const struct model *m);
/* Of the first, for /ready and the start's log line: "gpt-4o-mini at https://..." (no secrets) or
 * "the demo model". Borrowed. */
const char *model_describe(const struct model *m);

#endif
