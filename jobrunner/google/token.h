#ifndef CONFAB_GOOGLE_TOKEN_H
#define CONFAB_GOOGLE_TOKEN_H
/* One access token for the whole process. It is renewed five minutes before its end, by one
 * request at a time, for which everybody waits who needs it. Never logged. */

#include "jobrunner/google/credentials.h"
#include "jobrunner/store.h"
#include "lib/io/http.h"

struct tokens;
struct tokens_options {
    struct loop      *loop;
    struct http      *http;
    struct credentials credentials;         /* becomes tokens' own, in any case */
    const char       *scope, *subject;      /* borrowed, must live as long */
    int64_t           timeout;              /* ms, of one request */
};
struct tokens *tokens_new(struct tokens_options *o);    /* NULL: out of memory */
void           tokens_free(struct tokens *t);           /* pending callbacks do not come */

struct token_wait;
/* token: borrowed during the call; NULL exactly when the verdict is not STORE_OK, and then e is
 * set. */
typedef void token_fn(void *arg, const char *token, enum store_verdict verdict,
                      const struct err *e);
/* Never calls back before it has returned. NULL: out of memory, no callback. */
struct token_wait *token_get(struct tokens *t, token_fn *fn, void *arg);
void token_cancel(struct token_wait *w);        /* NULL: nothing */
/* Google refused it: not handed out again. */
void token_reject(struct tokens *t, const char *token);

#endif
