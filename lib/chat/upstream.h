#ifndef CONFAB_UPSTREAM_H
#define CONFAB_UPSTREAM_H
/* Asks an OpenAI-compatible server. The calls are those of model.h, which hands them on. */

#include "lib/base/buf.h"
#include "lib/chat/model.h"
#include "lib/io/http.h"

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

/* For upstream_call.c only. */
struct upstream {
    struct loop           *loop;        /* borrowed */
    const struct settings *settings;    /* borrowed */
    struct http *http;
    char        *url;
    char        *auth;                  /* the header line; NULL = no key */
    char        *description;
    struct buf   text;                  /* of the event at hand: one at a time in a loop */
};

#endif
