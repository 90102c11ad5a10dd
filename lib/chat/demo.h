#ifndef CONFAB_DEMO_H
#define CONFAB_DEMO_H
/* The demo model: answers by itself, so that confab can be tried out before a real model is
 * set up. It says so in every answer, and how to change it. Equal questions get equal answers. */

#include "lib/chat/model.h"

struct demo_call;

/* As model_ask: the answer comes in small pieces, a few milliseconds apart. */
struct demo_call *demo_ask(struct loop *l, const struct model_question *q,
                           const struct model_handlers *on, void *arg);
void demo_cancel(struct demo_call *c);      /* no callback any more. NULL: nothing */
void demo_pause(struct demo_call *c);
void demo_resume(struct demo_call *c);

/* The whole answer at once. */
bool demo_answer(struct buf *out, const struct model_question *q);
/* Length of the piece that comes first in what is left of an answer. */
size_t demo_piece(const char *text, size_t len);

#endif
