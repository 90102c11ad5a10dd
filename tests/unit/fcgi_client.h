#ifndef CONFAB_TEST_FCGI_CLIENT_H
#define CONFAB_TEST_FCGI_CLIENT_H
/* The web server's side of FastCGI, byte for byte, on the same loop as what is tested. What fails
 * here fails the test. */

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>

#include "fcgi/app.h"
#include "lib/base/buf.h"

struct fcgi_client {
    struct event *readable;
    int           fd;
    struct buf    raw;          /* not parsed yet */
    struct buf    text;         /* of stdout */
    int           records;      /* of stdout */
    bool          keep;         /* asks for the connection to be kept: to be set before fcgi_ask */
    bool          ended;        /* FCGI_END_REQUEST came */
    bool          closed;       /* the server closed the connection */
    pthread_t     writer;
    bool          writing;
    struct buf    request;
};

/* A new application, open to all, whose Redis is away, without a model, with small limits; and its
 * release. */
struct app *fcgi_app(void);
/* From now on with this Redis, and with the keys that the settings give now. */
void        fcgi_app_use_redis(struct app *app, const char *url);
void        fcgi_app_free(struct app *app);

/* A listening unix socket at path, as spawn-fcgi makes it. */
int fcgi_listen(const char *path);
struct fcgi_client *fcgi_connect(struct loop *l, const char *path);
/* On one end of a socketpair. */
struct fcgi_client *fcgi_client(struct loop *l, int fd);
/* params: name, value, name, value, NULL; or NULL. Large requests are written by a thread, as the
 * server may read while this one waits. On a kept connection once more after the end of the one
 * before, whose reply is forgotten. */
void fcgi_ask(struct fcgi_client *c, const char *method, const char *uri,
              const char *const *params, const char *body, size_t len);
/* The same without sending. */
void fcgi_encode(struct buf *out, const char *method, const char *uri, const char *const *params,
                 const char *body, size_t len);
void fcgi_read(struct fcgi_client *c, bool on);     /* a reader that stops, and goes on */
int  fcgi_status(const struct fcgi_client *c);
const char *fcgi_body(const struct fcgi_client *c); /* what follows the head, or "" */
bool fcgi_has_header(const struct fcgi_client *c, const char *line);
void fcgi_leave(struct fcgi_client *c);             /* closes, and frees */

#endif
