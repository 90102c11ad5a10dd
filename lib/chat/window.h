#ifndef CONFAB_WINDOW_H
#define CONFAB_WINDOW_H
/* How much of a dialog fits into what the model can take in at once.
 *
 * Tokens are the model's own and nobody else counts them exactly. They are estimated from the
 * text, by its scripts, and the estimate is corrected by what the model reports: a scale,
 * learned by each process from its turns, smoothed, and kept within bounds, so that no strange
 * report can empty the window or burst it. */

#include <stddef.h>
#include <stdint.h>

#include "lib/chat/session.h"

struct window_scale { double ratio; };  /* reported by estimated; 0: nothing was reported yet */

/* An estimate without the scale. */
int64_t window_estimate(const char *text, size_t len);              /* one message */
int64_t window_estimate_turn(const struct session_part *part);      /* a pair, as it is stored */

/* As the scale corrects it. */
int64_t window_tokens(const struct window_scale *scale, int64_t estimated);
/* The model has counted a prompt which was estimated at so much. */
void    window_learn(struct window_scale *scale, int64_t estimated, int64_t reported);

/* How many of the newest turns fit into so many tokens together: whole ones, without a gap.
 * *estimated is theirs. */
size_t  window_fit(const struct window_scale *scale, const struct session_part *parts,
                   size_t count, int64_t tokens, int64_t *estimated);

#endif
