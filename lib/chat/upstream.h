#ifndef CONFAB_UPSTREAM_H
#define CONFAB_UPSTREAM_H
/* Asks one OpenAI-compatible server. The calls are those of model.h, which chooses the server and
 * hands them on. */

#include "lib/chat/model.h"

struct upstream;
struct upstream_call;

/* s is borrowed and outlives the result. ERR_INVALID names the setting that cannot be used. */
enum err_code upstream_new(struct loop *l, const struct model_settings *s, struct upstream **out,
                           struct err *e);
void upstream_free(struct upstream *u);     /* after all of its calls are gone */
/* "gpt-4o-mini at https://api.openai.com/v1". Borrowed. */
const char *upstream_describe(const struct upstream *u);

/* The name of its model. Borrowed. */
const char *upstream_model(const struct upstream *u);

/* What an end says of the server. */
enum upstream_verdict {
    UPSTREAM_ANSWERED,      /* it answers: well, or that the request is at fault, or it broke off */
    UPSTREAM_FAILED,        /* not a word came of it, but it had begun its answer */
    UPSTREAM_UNHEARD,       /* the same, and not a byte: another may be asked */
    UPSTREAM_UNDECIDED,     /* our own fault */
};

struct upstream_handlers {
    void (*on_text)(void *arg, const char *text, size_t len);
    void (*on_done)(void *arg, const struct model_answer *answer, const struct err *e,
                    enum upstream_verdict verdict);
};

struct upstream_limits {
    int64_t deadline;       /* of all tries together, monotonic ms */
    bool    others;         /* another can be asked instead of waiting as long as this one says */
};

struct upstream_call *upstream_ask(struct upstream *u, const struct model_question *q,
                                   const struct upstream_limits *limits,
                                   const struct upstream_handlers *on, void *arg);
void upstream_cancel(struct upstream_call *c);
void upstream_pause(struct upstream_call *c);
void upstream_resume(struct upstream_call *c);

#endif
