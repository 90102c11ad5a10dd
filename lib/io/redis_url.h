#ifndef CONFAB_REDIS_URL_H
#define CONFAB_REDIS_URL_H
/* Where a Redis is: redis://[[user]:pass@]host[:port][/db] or unix://[[user]:pass@]/path[?db=N].
 * User and password may hold %XX. */

#include "lib/base/err.h"

struct redis_url {
    char *host;         /* owned, as all texts here; NULL with a socket's path */
    int   port;
    char *path;         /* of the socket; NULL with a host */
    char *user;         /* NULL: none */
    char *password;     /* NULL: none */
    int   db;
};

/* ERR_INVALID says what is wrong, without the password. On error u is empty. */
enum err_code redis_url_parse(const char *text, struct redis_url *u, struct err *e);
void          redis_url_close(struct redis_url *u);

#endif
