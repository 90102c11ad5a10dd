#ifndef CONFAB_TEST_RAW_SERVER_H
#define CONFAB_TEST_RAW_SERVER_H
/* A TCP server on the test's own loop that answers each whole HTTP request with bytes given
 * beforehand, well-formed or not, in pieces of any size. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/io/loop.h"

struct raw_answer {
    const char *bytes;      /* borrowed */
    size_t      len;        /* 0: strlen(bytes) */
    size_t      piece;      /* bytes a turn of the loop; 0 = all that the socket takes */
    bool        early;      /* as soon as the headers are there, not waiting for the body */
    bool        for_ever;   /* begins anew at its end */
    bool        close;      /* hangs up behind it */
    bool        reset;      /* hangs up behind it with RST */
};

struct raw_server;
/* The nth request gets answers[n], further ones the last. Borrowed. */
struct raw_server *raw_server_start(struct loop *l, const struct raw_answer *answers, size_t count);
void               raw_server_stop(struct raw_server *s);
const char        *raw_server_url(const struct raw_server *s);      /* http://127.0.0.1:port/x */
const int         *raw_server_requests(const struct raw_server *s); /* counters that grow */
const int         *raw_server_connections(const struct raw_server *s);
const int         *raw_server_hangups(const struct raw_server *s);  /* by the client */
size_t             raw_server_sent(const struct raw_server *s);
/* The latest request as it came, with its body. Borrowed. */
const struct buf  *raw_server_heard(const struct raw_server *s);

#endif
