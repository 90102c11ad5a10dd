#ifndef CONFAB_GOOGLE_CALL_H
#define CONFAB_GOOGLE_CALL_H
/* One authorised call to Drive: a token, the caller's go-ahead, the request, and once more with a
 * new token when Google answers 401. */

#include <jansson.h>

#include "jobrunner/google/drive.h"
#include "jobrunner/google/exchange.h"
#include "jobrunner/google/token.h"
#include "jobrunner/store.h"

struct google {                     /* what all calls share; borrowed by them */
    struct loop   *loop;
    struct http   *http;            /* keeps connections; repeats by itself when one was closed */
    struct http   *http_once;       /* a connection for each request, which so goes out once */
    struct tokens *tokens;
    const char    *root;            /* of the API, without a slash at its end */
    int64_t        timeout, upload_timeout;     /* ms */
};

struct google_result {              /* borrowed during the callback */
    enum store_verdict verdict;     /* STORE_OK: status 2xx (or 308 of an upload) */
    const struct err  *err;         /* NULL with STORE_OK */
    const json_t      *json;        /* the answer, or NULL when it is not JSON */
    const struct exchange_reply *reply;     /* NULL when nothing was asked: no token */
};

struct google_call;
struct google_handlers {
    /* About to ask Google, for up to ms: go on with google_call_proceed or _cancel, at once or
     * later. NULL: the call goes on by itself. */
    void (*on_ready)(void *arg, int64_t ms);
    /* Once, unless cancelled; the call is gone then. */
    void (*on_done)(void *arg, const struct google_result *r);
};

/* Takes q over (and zeroes it), in any case. Never calls back before it has returned. timeout: ms
 * of one request. NULL: out of memory, no callback. */
struct google_call *google_call(const struct google *g, struct drive_request *q, int64_t timeout,
                                const struct google_handlers *on, void *arg);
void google_call_proceed(struct google_call *c);
void google_call_cancel(struct google_call *c);     /* NULL: nothing */

#endif
