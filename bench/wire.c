#include "bench/wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

SSL_CTX *wire_identity(const char *certificate_file, const char *key_file)
{
    SSL_CTX *identity = SSL_CTX_new(TLS_server_method());

    if (identity && SSL_CTX_use_certificate_chain_file(identity, certificate_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(identity, key_file, SSL_FILETYPE_PEM) == 1) {
        SSL_CTX_set_mode(identity, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        return identity;
    }
    ERR_print_errors_fp(stderr);
    SSL_CTX_free(identity);
    return NULL;
}

bool wire_open(struct wire *w, int fd, SSL_CTX *identity)
{
    *w = (struct wire){ .fd = fd };
    if (!identity)
        return true;
    w->tls = SSL_new(identity);
    if (!w->tls || SSL_set_fd(w->tls, fd) != 1)
        return false;
    SSL_set_accept_state(w->tls);
    return true;
}

void wire_close(struct wire *w)
{
    SSL_free(w->tls);
    close(w->fd);
}

static ssize_t result_of(struct wire *w, int n)
{
    int why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(w->tls, n);

    ERR_clear_error();
    if (n > 0)
        return n;
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

ssize_t wire_recv(struct wire *w, void *room, size_t size)
{
    if (!w->tls)
        return recv(w->fd, room, size, MSG_DONTWAIT);
    return result_of(w, SSL_read(w->tls, room, (int)size));
}

ssize_t wire_send(struct wire *w, const void *bytes, size_t len)
{
    if (!w->tls)
        return send(w->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return result_of(w, SSL_write(w->tls, bytes, (int)len));
}
