#ifndef CONFAB_INTAKE_H
#define CONFAB_INTAKE_H
/* Reads one FastCGI request with libfcgi and keeps what a handler may need of it, in one
 * allocation. The only file that includes libfcgi. */

#include <stddef.h>
#include <stdint.h>

#include "fcgi/request.h"

/* Once per process. Replaces the handlers of SIGPIPE, SIGUSR1 and SIGTERM: set yours after it. */
void intake_init(void);

struct intake_options {
    int64_t read_timeout;   /* ms that one read may take: bounds a request that was sent by half */
    size_t  max_body;
};

enum intake {
    INTAKE_OK,
    INTAKE_TOO_LARGE,       /* whole, but without its body */
    INTAKE_BROKEN,          /* not a FastCGI request, cut, or no memory: nothing to answer */
};

struct taken {
    struct request *request;    /* the caller's, to be closed and freed; NULL when BROKEN */
    unsigned short  fcgi_id;
    bool            keep;       /* the connection is to stay open after the response */
};

/* Once per connection, which is and stays in blocking mode. */
void intake_prepare(int fd, const struct intake_options *o);
/* fd is readable; when BROKEN it has been closed. nginx has buffered the request and sends it in
 * one go, so this takes microseconds. */
enum intake intake_read(int fd, const struct intake_options *o, struct taken *out);

#endif
