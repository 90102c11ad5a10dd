#ifndef CONFAB_CHAT_H
#define CONFAB_CHAT_H
/* A chat turn, for all routes that ask for one. */

#include "fcgi/handlers/chat_input.h"

/* The dialect is constant. The request is gone afterwards, now or later. */
void chat_begin(struct request *r, const struct chat_dialect *dialect);

#endif
