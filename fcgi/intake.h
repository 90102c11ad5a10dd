#ifndef CONFAB_INTAKE_H
#define CONFAB_INTAKE_H
/* Reads one FastCGI request with libfcgi and keeps what a handler may need of it, in one
 * allocation. The only file that includes libfcgi. */

#include <stddef.h>
#include <stdint.h>

#include "fcgi/conn.h"

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

/* fd is readable and in blocking mode; it is taken over in any case. nginx has buffered the
 * request and sends it in one go, so this takes microseconds. *out is NULL when BROKEN. */
enum intake intake_read(int fd, struct conns *set, const struct intake_options *o,
                        struct conn **out);

#endif
