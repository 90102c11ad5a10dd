#ifndef CONFAB_CHAT_INPUT_H
#define CONFAB_CHAT_INPUT_H
/* What a turn is asked with, read and checked. */

#include "fcgi/request.h"
#include "lib/chat/keys.h"

/* How a route asks for a turn and is answered; the turn itself is the same for all. */
struct chat_dialect {
    const char *text_field;         /* where the user's text stands */
    size_t      id_segment;         /* of the path; 0 = the id stands in the body */
    bool        placeholder;        /* an empty id, or the word "string", stands for none */
    bool        plain_events;       /* always a stream, of bare text */
    bool        tell_session;       /* the answer always comes with the id */
};

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
enum err_code chat_input_read(struct request *r, const struct chat_dialect *d,
                              struct chat_input *in, struct err *e);

#endif
