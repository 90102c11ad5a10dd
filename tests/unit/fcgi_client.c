#include "tests/unit/fcgi_client.h"

#include <check.h>
#include <errno.h>
#include <fastcgi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/chat/apikeys.h"

enum { REQUEST_ID = 258, REPLY_MAX = 64 << 20, SMALL = 64 << 10 };

struct app *fcgi_app(void)
{
    struct app *app = calloc(1, sizeof(*app));

    ck_assert_ptr_nonnull(app);
    app->loop = loop_new();
    ck_assert_ptr_nonnull(app->loop);
    app->settings.server.max_requests = 100;
    app->settings.server.max_body = 1 << 20;
    app->settings.server.max_unsent = 64 << 10;
    app->settings.server.request_read_timeout = 500;
    app->settings.server.drain_timeout = 200;
    app->settings.server.cors_origins = (char *)"";
    app->settings.server.api_key = (char *)"";
    app->settings.server.api_keys_file = (char *)"";
    app->settings.server.access = ACCESS_OPEN;
    app->settings.session.lease = 15000;
    app->settings.limits.key_cache = 3000;
    fcgi_app_use_redis(app, "unix:///nonexistent/redis.sock");
    return app;
}

static void leave_redis(struct app *app)
{
    quota_free(app->quota);
    apikeys_free(app->apikeys);
    redis_free(app->redis);
}

void fcgi_app_use_redis(struct app *app, const char *url)
{
    struct redis_options o = { .url = url, .connect_timeout = 1000, .timeout = 1000,
                               .name = "test" };
    struct err e = ERR_NONE;

    leave_redis(app);
    ck_assert_msg(redis_new(app->loop, &o, &app->redis, &e) == ERR_OK, "%s", e.detail);
    app->quota = quota_new(app->loop, app->redis, &app->settings);
    ck_assert_ptr_nonnull(app->quota);
    ck_assert_msg(apikeys_new(app->loop, app->redis, &app->settings, &app->apikeys, &e) == ERR_OK,
                  "%s", e.detail);
}

void fcgi_app_free(struct app *app)
{
    leave_redis(app);
    loop_free(app->loop);
    free(app);
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    ck_assert_uint_lt(strlen(path), sizeof(a.sun_path));
    strcpy(a.sun_path, path);
    return a;
}

int fcgi_listen(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 4096), 0);
    return fd;
}

static void take_record(struct fcgi_client *c, unsigned char type, const char *content, size_t len)
{
    ck_assert_msg(!c->ended, "a record after the end of the request");
    if (type == FCGI_STDOUT) {
        c->records += len > 0;
        buf_add(&c->text, content, len);
    } else {
        ck_assert_int_eq(type, FCGI_END_REQUEST);
        ck_assert_uint_eq(len, sizeof(FCGI_EndRequestBody));
        c->ended = true;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct fcgi_client *c = arg;
    char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    (void)what;
    if (n <= 0) {
        c->closed = true;
        event_del(c->readable);
        return;
    }
    ck_assert(buf_add(&c->raw, bytes, (size_t)n));
    while (c->raw.len >= FCGI_HEADER_LEN) {
        const FCGI_Header *h = (const void *)c->raw.data;
        size_t len = (size_t)h->contentLengthB1 << 8 | h->contentLengthB0;

        ck_assert_int_eq(h->version, FCGI_VERSION_1);
        ck_assert_int_eq(h->requestIdB1 << 8 | h->requestIdB0, REQUEST_ID);
        if (c->raw.len < FCGI_HEADER_LEN + len + h->paddingLength)
            break;
        take_record(c, h->type, c->raw.data + FCGI_HEADER_LEN, len);
        buf_consume(&c->raw, FCGI_HEADER_LEN + len + h->paddingLength);
    }
}

struct fcgi_client *fcgi_client(struct loop *l, int fd)
{
    struct fcgi_client *c = calloc(1, sizeof(*c));

    ck_assert_ptr_nonnull(c);
    c->fd = fd;
    buf_init(&c->raw, REPLY_MAX);
    buf_init(&c->text, REPLY_MAX);
    buf_init(&c->request, REPLY_MAX);
    c->readable = event_new(loop_base(l), fd, EV_READ | EV_PERSIST, on_readable, c);
    fcgi_read(c, true);
    return c;
}

struct fcgi_client *fcgi_connect(struct loop *l, const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fcgi_client(l, fd);
}

static void add_header(struct buf *out, int type, size_t len)
{
    FCGI_Header h = { .version = FCGI_VERSION_1, .type = (unsigned char)type,
                      .requestIdB1 = REQUEST_ID >> 8, .requestIdB0 = REQUEST_ID & 0xff,
                      .contentLengthB1 = (unsigned char)(len >> 8),
                      .contentLengthB0 = (unsigned char)len };

    buf_add(out, &h, sizeof(h));
}

static void add_stream(struct buf *out, int type, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t n = len < 32768 ? len : 32768;   /* as nginx cuts them */

        add_header(out, type, n);
        buf_add(out, bytes, n);
        bytes += n;
        len -= n;
    }
    add_header(out, type, 0);
}

static void add_param(struct buf *out, const char *name, const char *value)
{
    size_t nlen = strlen(name), vlen = strlen(value);

    buf_addc(out, (char)nlen);
    if (vlen < 128) {
        buf_addc(out, (char)vlen);
    } else {
        buf_addc(out, (char)(vlen >> 24 | 0x80));
        buf_addc(out, (char)(vlen >> 16));
        buf_addc(out, (char)(vlen >> 8));
        buf_addc(out, (char)vlen);
    }
    buf_add(out, name, nlen);
    buf_add(out, value, vlen);
}

void fcgi_encode(struct buf *out, const char *method, const char *uri, const char *const *params,
                 const char *body, size_t len)
{
    FCGI_BeginRequestBody begin = { .roleB0 = FCGI_RESPONDER };
    struct buf encoded;
    char length[24] = "";

    add_header(out, FCGI_BEGIN_REQUEST, sizeof(begin));
    buf_add(out, &begin, sizeof(begin));
    buf_init(&encoded, 1 << 20);
    add_param(&encoded, "REQUEST_METHOD", method);
    add_param(&encoded, "REQUEST_URI", uri);
    if (body)
        snprintf(length, sizeof(length), "%zu", len);
    add_param(&encoded, "CONTENT_LENGTH", length);
    for (; params && *params; params += 2)
        add_param(&encoded, params[0], params[1]);
    add_stream(out, FCGI_PARAMS, encoded.data, encoded.len);
    add_stream(out, FCGI_STDIN, body, body ? len : 0);
    buf_close(&encoded);
    ck_assert(buf_ok(out));
}

static void *write_all(void *arg)
{
    struct fcgi_client *c = arg;
    size_t sent = 0;

    while (sent < c->request.len) {
        ssize_t n = send(c->fd, c->request.data + sent, c->request.len - sent, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    return NULL;
}

static FCGI_BeginRequestBody *begin_of(struct fcgi_client *c)
{
    return &((FCGI_BeginRequestRecord *)(void *)c->request.data)->body;
}

void fcgi_ask(struct fcgi_client *c, const char *method, const char *uri,
              const char *const *params, const char *body, size_t len)
{
    if (c->writing)
        pthread_join(c->writer, NULL);
    c->records = 0;
    c->ended = false;
    buf_clear(&c->text);
    buf_clear(&c->request);
    fcgi_encode(&c->request, method, uri, params, body, len);
    if (c->keep)
        begin_of(c)->flags = FCGI_KEEP_CONN;
    c->writing = c->request.len > SMALL;
    if (c->writing)
        ck_assert_int_eq(pthread_create(&c->writer, NULL, write_all, c), 0);
    else
        write_all(c);
}

void fcgi_read(struct fcgi_client *c, bool on)
{
    if (on)
        event_add(c->readable, NULL);
    else
        event_del(c->readable);
}

int fcgi_status(const struct fcgi_client *c)
{
    int status = 0;

    return sscanf(c->text.data, "Status: %d", &status) == 1 ? status : 0;
}

const char *fcgi_body(const struct fcgi_client *c)
{
    const char *end = strstr(c->text.data, "\r\n\r\n");

    return end ? end + 4 : "";
}

bool fcgi_has_header(const struct fcgi_client *c, const char *line)
{
    const char *at = strstr(c->text.data, line), *end = strstr(c->text.data, "\r\n\r\n");
    size_t len = strlen(line);

    return at && end && at < end && (at == c->text.data || at[-1] == '\n') &&
           strncmp(at + len, "\r\n", 2) == 0;
}

void fcgi_leave(struct fcgi_client *c)
{
    shutdown(c->fd, SHUT_RDWR);
    if (c->writing)
        pthread_join(c->writer, NULL);
    event_free(c->readable);
    close(c->fd);
    buf_close(&c->raw);
    buf_close(&c->text);
    buf_close(&c->request);
    free(c);
}
