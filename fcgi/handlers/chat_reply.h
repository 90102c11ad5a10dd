#ifndef CONFAB_CHAT_REPLY_H
#define CONFAB_CHAT_REPLY_H
/* What a chat turn says to its client, as a whole reply or as events: the words of DESIGN's
 * contract, without the turn's logic. */

#include "fcgi/request.h"
#include "lib/chat/model.h"

struct chat_reply {
    struct request *request;            /* borrowed */
    bool            stream;
    bool            plain_events;       /* text alone, see chat_input.h */
    bool            after_return;       /* of those: the text so far ends in a '\r' */
    bool            tell_session;       /* the id stands beside the answer */
    const char     *session; size_t session_len;    /* borrowed */
    int64_t         turn;               /* for the event ids */
    int64_t         pieces;             /* events so far */
};

/* `event: delta`, or bare `data:` lines. False: the reader lags, see response_event. */
bool chat_reply_delta(struct chat_reply *p, const char *text, size_t len);
/* The end: `event: done` (without data where events are bare), or the whole answer. The
 * request is gone. */
struct chat_end {
    const char        *text; size_t len;    /* for the whole reply */
    const char        *finish_reason;
    struct model_usage usage;
    int64_t            overhead_us;
};
void chat_reply_end(struct chat_reply *p, const struct chat_end *end);

#endif
