#ifndef CONFAB_FCGI_CHAT_QUESTION_H
#define CONFAB_FCGI_CHAT_QUESTION_H
/* What the model is asked in a turn: the session's prompt, as much of the past as fits, and the
 * user's text. */

#include "fcgi/app.h"
#include "fcgi/handlers/chat_input.h"

/* All borrowed from what is given; memory, empty, takes the words of the summary. *estimated: tokens
 * of the whole question, without the scale. */
struct model_question chat_question(const struct app *app, const struct chat_input *in,
                                    const struct session_begun *begun, const struct log *log,
                                    struct buf *memory, int64_t *estimated);

/* The number of the last turn that is to be in the summary after this one, so that the summary and
 * the window leave nothing out; 0: the summary reaches far enough. */
int64_t chat_question_fold(const struct model_question *q, const struct session_begun *begun);

#endif
