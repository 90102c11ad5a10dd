#include "lib/io/redis_url.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"

enum { PORT_DEFAULT = 6379, SENTINEL_PORT_DEFAULT = 26379, DB_MAX = 1 << 20, PART_MAX = 4096 };

static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void redis_url_close(struct redis_url *u)
{
    free(u->host);
    free(u->path);
    free(u->master);
    for (size_t i = 0; i < u->sentinel_count; i++)
        free(u->sentinels[i].host);
    free(u->user);
    free_secret(u->password);
    free(u->sentinel_user);
    free_secret(u->sentinel_password);
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

static enum err_code parse_user(const char *s, size_t len, char **user, char **password,
                                struct err *e)
{
    const char *colon = memchr(s, ':', len);
    size_t user_len = colon ? (size_t)(colon - s) : len;

    if (!colon)
        return err_set(e, ERR_INVALID, "a user without a password");
    if (user_len) {
        *user = decode(s, user_len);
        if (!*user)
            return err_set(e, ERR_INVALID, "the user is not well escaped");
    }
    if (user_len + 1 < len) {
        *password = decode(colon + 1, len - user_len - 1);
        if (!*password)
            return err_set(e, ERR_INVALID, "the password is not well escaped");
    }
    if (*user && !*password)
        return err_set(e, ERR_INVALID, "a user without a password");
    return ERR_OK;
}

/* host[:port], [v6][:port]; "" is the loopback. port comes with its default. */
static enum err_code parse_host(const char *s, size_t len, char **host, int *port, struct err *e)
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
    if (colon < end &&
        (*colon != ':' ||
         parse_number(colon + 1, (size_t)(end - colon - 1), 65535, port) != ERR_OK ||
         *port == 0))
        return err_set(e, ERR_INVALID, "the port is not a number from 1 to 65535");
    *host = host_end > s ? strndup(s, (size_t)(host_end - s)) : strdup("127.0.0.1");
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
    u->port = PORT_DEFAULT;
    if (parse_host(s, len, &u->host, &u->port, e) != ERR_OK)
        return ERR_INVALID;
    return parse_db(s[len] ? s + len + 1 : "", u, e);
}

/* host[:port], separated by commas. */
static enum err_code parse_sentinels(const char *s, size_t len, struct redis_url *u, struct err *e)
{
    const char *end = s + len;

    for (const char *comma; s <= end; s = comma + 1) {
        struct redis_host *h = &u->sentinels[u->sentinel_count];

        comma = memchr(s, ',', (size_t)(end - s));
        if (!comma)
            comma = end;
        if (comma == s)
            return err_set(e, ERR_INVALID, "a sentinel's host is missing");
        if (u->sentinel_count == REDIS_SENTINELS_MAX)
            return err_set(e, ERR_INVALID, "more than %d sentinels", REDIS_SENTINELS_MAX);
        h->port = SENTINEL_PORT_DEFAULT;
        if (parse_host(s, (size_t)(comma - s), &h->host, &h->port, e) != ERR_OK)
            return ERR_INVALID;
        if (!h->host)
            return err_set(e, ERR_INTERNAL, "out of memory");
        u->sentinel_count++;
    }
    return ERR_OK;
}

/* hosts/master[/db][?sentinel_auth=[user]:pass] */
static enum err_code parse_sentinel(const char *s, struct redis_url *u, struct err *e)
{
    static const char auth[] = "?sentinel_auth=";
    size_t hosts = strcspn(s, "/?"), name, db;
    char digits[16] = "";

    if (parse_sentinels(s, hosts, u, e) != ERR_OK)
        return ERR_INVALID;
    s += hosts + (s[hosts] == '/');
    name = strcspn(s, "/?");
    if (name == 0)
        return err_set(e, ERR_INVALID, "the master's name is missing: sentinel://HOST:PORT/NAME");
    u->master = strndup(s, name);
    s += name + (s[name] == '/');
    db = strcspn(s, "?");
    if (db >= sizeof digits)
        return err_set(e, ERR_INVALID, "the database is not a number");
    memcpy(digits, s, db);
    s += db;
    if (parse_db(digits, u, e) != ERR_OK)
        return ERR_INVALID;
    if (!*s)
        return ERR_OK;
    if (strncmp(s, auth, sizeof auth - 1) != 0)
        return err_set(e, ERR_INVALID, "only ?sentinel_auth= may follow the database");
    s += sizeof auth - 1;
    return parse_user(s, strlen(s), &u->sentinel_user, &u->sentinel_password, e);
}

static const struct {
    const char *scheme;
    enum err_code (*parse)(const char *s, struct redis_url *u, struct err *e);
} forms[] = {
    { "redis://", parse_tcp }, { "unix://", parse_unix }, { "sentinel://", parse_sentinel },
};

static enum err_code parse(const char *text, struct redis_url *u, struct err *e)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t len = strlen(forms[i].scheme);
        const char *at;

        if (strncmp(text, forms[i].scheme, len) != 0)
            continue;
        text += len;
        at = memchr(text, '@', strcspn(text, "/?"));
        if (at && parse_user(text, (size_t)(at - text), &u->user, &u->password, e) != ERR_OK)
            return ERR_INVALID;
        return forms[i].parse(at ? at + 1 : text, u, e);
    }
    return err_set(e, ERR_INVALID, "it must begin with redis://, unix:// or sentinel://");
}

enum err_code redis_url_parse(const char *text, struct redis_url *u, struct err *e)
{
    enum err_code code;

    memset(u, 0, sizeof *u);
    code = parse(text, u, e);
    if (code == ERR_OK && !u->host && !u->path && !u->master)
        code = err_set(e, ERR_INTERNAL, "out of memory");
    if (code != ERR_OK)
        redis_url_close(u);
    return code;
}
