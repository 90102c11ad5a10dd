#ifndef CONFAB_REDIS_URL_H
#define CONFAB_REDIS_URL_H
/* Where a Redis is:
 *
 *   redis://[[user]:pass@]host[:port][/db]
 *   unix://[[user]:pass@]/path[?db=N]
 *   sentinel://[[user]:pass@]host[:port][,host[:port]...]/master[/db][?sentinel_auth=[user]:pass]
 *
 * Users and passwords may hold %XX. Those before the @ are for Redis, also with sentinels. */

#include <stddef.h>

#include "lib/base/err.h"

enum { REDIS_SENTINELS_MAX = 16 };

struct redis_host { char *host; int port; };

struct redis_url {
    char *host;         /* owned, as all texts here; NULL with a path, or with sentinels */
    int   port;
    char *path;         /* of the socket, or NULL */
    char *master;       /* its name, as the sentinels know it; NULL without them */
    struct redis_host sentinels[REDIS_SENTINELS_MAX];
    size_t sentinel_count;
    char *sentinel_user;        /* NULL: none */
    char *sentinel_password;    /* NULL: none */
    char *user;         /* NULL: none */
    char *password;     /* NULL: none */
    int   db;
};

/* ERR_INVALID says what is wrong, without the password. On error u is empty. */
enum err_code redis_url_parse(const char *text, struct redis_url *u, struct err *e);
void          redis_url_close(struct redis_url *u);

#endif
