#ifndef CONFAB_BENCH_WIRE_H
#define CONFAB_BENCH_WIRE_H
/* A connection that was accepted, in the clear or over TLS. Nothing here blocks. */

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct wire {
    int  fd;
    SSL *tls;           /* NULL: in the clear */
};

/* For wire_open; NULL, with the reason on standard error, if a file cannot be used. */
SSL_CTX *wire_identity(const char *certificate_file, const char *key_file);
/* Takes fd. identity NULL: in the clear; else TLS begins with what is received first. */
bool     wire_open(struct wire *w, int fd, SSL_CTX *identity);
void     wire_close(struct wire *w);
/* As recv and send do: -1 with EAGAIN when there is nothing now. After wire_recv gave something
 * there may be more that epoll does not know of: call it until EAGAIN. What wire_send did not take
 * is given to it again before anything else. */
ssize_t  wire_recv(struct wire *w, void *room, size_t size);
ssize_t  wire_send(struct wire *w, const void *bytes, size_t len);

#endif
