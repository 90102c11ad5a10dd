#ifndef CONFAB_CHAT_INPUT_H
#define CONFAB_CHAT_INPUT_H
/* What a POST /api/v1/chat asks for, read and checked. */

#include "fcgi/request.h"
#include "lib/chat/keys.h"

struct chat_input {
    char        session[KEYS_SESSION_MAX + 1];
    size_t      session_len;
    bool        session_made;       /* the client left it out */
    bool        stream;
    const char *key;                /* Idempotency-Key, borrowed from the request; or NULL */
    char        body_hash[65];      /* with a key only */
    char       *text; size_t text_len;  /* owned: the caller frees it */
};

/* Drops the request's body. On an error nothing is the caller's; the session is still told when the
 * fault lies elsewhere. */
enum err_code chat_input_read(struct request *r, struct chat_input *in, struct err *e);

#endif
