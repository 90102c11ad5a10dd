#include "lib/io/redis_url.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"

enum { PORT_DEFAULT = 6379, DB_MAX = 1 << 20, PART_MAX = 4096 };

void redis_url_close(struct redis_url *u)
{
    free(u->host);
    free(u->path);
    free(u->user);
    if (u->password)
        explicit_bzero(u->password, strlen(u->password));
    free(u->password);
    memset(u, 0, sizeof *u);
}

static enum err_code parse_number(const char *s, size_t len, int max, int *out)
{
    int n = 0;

    if (len == 0 || len > 8)
        return ERR_INVALID;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return ERR_INVALID;
        n = n * 10 + (s[i] - '0');
    }
    *out = n;
    return n <= max ? ERR_OK : ERR_INVALID;
}

/* NULL when an escape is broken, or decodes to a NUL. */
static char *decode(const char *s, size_t len)
{
    struct buf b;

    buf_init(&b, PART_MAX);
    if (!text_percent_decode(s, len, &b) || memchr(b.data, '\0', b.len)) {
        buf_close(&b);
        return NULL;
    }
    return buf_steal(&b, NULL);
}

static enum err_code parse_user(const char *s, size_t len, struct redis_url *u, struct err *e)
{
    const char *colon = memchr(s, ':', len);
    size_t user_len = colon ? (size_t)(colon - s) : len;

    if (!colon)
        return err_set(e, ERR_INVALID, "a user without a password");
    if (user_len) {
        u->user = decode(s, user_len);
        if (!u->user)
            return err_set(e, ERR_INVALID, "the user is not well escaped");
    }
    if (user_len + 1 < len) {
        u->password = decode(colon + 1, len - user_len - 1);
        if (!u->password)
            return err_set(e, ERR_INVALID, "the password is not well escaped");
    }
    if (u->user && !u->password)
        return err_set(e, ERR_INVALID, "a user without a password");
    return ERR_OK;
}

/* host[:port], [v6][:port]; "" is the loopback. */
static enum err_code parse_host(const char *s, size_t len, struct redis_url *u, struct err *e)
{
    const char *end = s + len, *host_end, *colon;

    if (len && *s == '[') {
        host_end = memchr(s, ']', len);
        if (!host_end)
            return err_set(e, ERR_INVALID, "the host's bracket is not closed");
        s++;
        colon = host_end + 1;
    } else {
        colon = memchr(s, ':', len);
        host_end = colon ? colon : end;
        colon = host_end;
    }
    u->port = PORT_DEFAULT;
    if (colon < end &&
        (*colon != ':' ||
         parse_number(colon + 1, (size_t)(end - colon - 1), 65535, &u->port) != ERR_OK ||
         u->port == 0))
        return err_set(e, ERR_INVALID, "the port is not a number from 1 to 65535");
    u->host = host_end > s ? strndup(s, (size_t)(host_end - s)) : strdup("127.0.0.1");
    return ERR_OK;
}

static enum err_code parse_db(const char *s, struct redis_url *u, struct err *e)
{
    if (*s && parse_number(s, strlen(s), DB_MAX, &u->db) != ERR_OK)
        return err_set(e, ERR_INVALID, "the database is not a number");
    return ERR_OK;
}

static enum err_code parse_unix(const char *s, struct redis_url *u, struct err *e)
{
    size_t len = strcspn(s, "?");

    if (len < 2 || *s != '/')
        return err_set(e, ERR_INVALID, "the socket's path is not absolute");
    if (len >= sizeof ((struct sockaddr_un *)NULL)->sun_path)
        return err_set(e, ERR_INVALID, "the socket's path is too long");
    u->path = strndup(s, len);
    s += len;
    if (!*s)
        return ERR_OK;
    if (strncmp(s, "?db=", 4) != 0)
        return err_set(e, ERR_INVALID, "only ?db= may follow the socket's path");
    return parse_db(s + 4, u, e);
}

static enum err_code parse_tcp(const char *s, struct redis_url *u, struct err *e)
{
    size_t len = strcspn(s, "/?");

    if (s[len] == '?')
        return err_set(e, ERR_INVALID, "the database is given as /N");
    if (parse_host(s, len, u, e) != ERR_OK)
        return e ? e->code : ERR_INVALID;
    return parse_db(s[len] ? s + len + 1 : "", u, e);
}

static enum err_code parse(const char *text, struct redis_url *u, struct err *e)
{
    bool unix_socket = strncmp(text, "unix://", 7) == 0;
    enum err_code code = ERR_OK;
    const char *at;

    if (!unix_socket && strncmp(text, "redis://", 8) != 0)
        return err_set(e, ERR_INVALID, "it must begin with redis:// or unix://");
    text += unix_socket ? 7 : 8;
    at = memchr(text, '@', strcspn(text, "/?"));
    if (at) {
        code = parse_user(text, (size_t)(at - text), u, e);
        text = at + 1;
    }
    if (code == ERR_OK)
        code = unix_socket ? parse_unix(text, u, e) : parse_tcp(text, u, e);
    return code;
}

enum err_code redis_url_parse(const char *text, struct redis_url *u, struct err *e)
{
    enum err_code code;

    memset(u, 0, sizeof *u);
    code = parse(text, u, e);
    if (code == ERR_OK && !u->host && !u->path)
        code = err_set(e, ERR_INTERNAL, "out of memory");
    if (code != ERR_OK)
        redis_url_close(u);
    return code;
}
