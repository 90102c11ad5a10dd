#ifndef CONFAB_UPSTREAM_H
#define CONFAB_UPSTREAM_H
/* Asks an OpenAI-compatible server. The calls are those of model.h, which hands them on. */

#include "lib/chat/model.h"

struct upstream;
struct upstream_call;

/* s is borrowed and outlives the result. ERR_INVALID names the setting that cannot be used. */
enum err_code upstream_new(struct loop *l, const struct settings *s, struct upstream **out,
                           struct err *e);
void upstream_free(struct upstream *u);     /* after all of its calls are gone */
/* "gpt-4o-mini at https://api.openai.com/v1". Borrowed. */
const char *upstream_describe(const struct upstream *u);

struct upstream_call *upstream_ask(struct upstream *u, const struct model_question *q,
                                   const struct model_handlers *on, void *arg);
void upstream_cancel(struct upstream_call *c);
void upstream_pause(struct upstream_call *c);
void upstream_resume(struct upstream_call *c);

#endif
