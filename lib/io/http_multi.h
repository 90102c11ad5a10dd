#ifndef CONFAB_HTTP_MULTI_H
#define CONFAB_HTTP_MULTI_H
/* Inside of http.c: libcurl's multi handle on the loop. */

#include <curl/curl.h>
#include <stdbool.h>

#include "lib/io/loop.h"

struct http_multi {
    CURLM       *curl;
    struct loop *loop;
    struct timer timer;     /* when libcurl wants to be called */
    bool         inside;    /* libcurl is running: no transfer can be added or removed */
    bool         adding;    /* a transfer */
    loop_fn     *after;     /* called when it has run; its arg */
    void        *arg;
};

bool multi_init(struct http_multi *m, struct loop *l, loop_fn *after, void *arg);
CURLMcode multi_add(struct http_multi *m, CURL *easy);
/* How many connections there may be, those in use included, before an idle one is closed. */
void multi_keep(struct http_multi *m, size_t connections);
void multi_close(struct http_multi *m);     /* when no transfer is left; also on a zeroed struct */

#endif
