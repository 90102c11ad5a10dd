#include "fcgi/intake.h"

#include <fcgiapp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BODY_FIRST = 4096, TRASH_MAX = 64 << 20 };

struct params {
    const char *method, *target, *length, *listener;
    const char *headers[HEADER_COUNT];
};

/* What is kept, by its CGI name. */
#define KEPT(name, field) { name, sizeof(name) - 1, offsetof(struct params, field) }
#define KEPT_HEADER(name, which) KEPT(name, headers[which])
static const struct { const char *name; size_t len, at; } kept[] = {
    KEPT("REQUEST_METHOD", method),
    KEPT("REQUEST_URI", target),
    KEPT("CONTENT_LENGTH", length),
    KEPT("CONFAB_LISTENER", listener),      /* no header's name becomes this */
    KEPT_HEADER("HTTP_ACCEPT", HEADER_ACCEPT),
    KEPT_HEADER("HTTP_AUTHORIZATION", HEADER_AUTHORIZATION),
    KEPT_HEADER("CONTENT_TYPE", HEADER_CONTENT_TYPE),
    KEPT_HEADER("HTTP_IDEMPOTENCY_KEY", HEADER_IDEMPOTENCY_KEY),
    KEPT_HEADER("HTTP_ORIGIN", HEADER_ORIGIN),
    KEPT_HEADER("HTTP_X_REQUEST_ID", HEADER_REQUEST_ID),
    KEPT_HEADER("HTTP_ACCESS_CONTROL_REQUEST_METHOD", HEADER_ACR_METHOD),
    KEPT_HEADER("HTTP_LAST_EVENT_ID", HEADER_LAST_EVENT_ID),
};

void intake_init(void)
{
    /* libfcgi closes a connection that it could not read, and would wait two seconds for the
     * peer's last word. */
    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1);
    FCGX_Init();
}

/* entry: "NAME=value". */
static void param_keep(struct params *p, const char *entry)
{
    size_t len = strcspn(entry, "=");

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]) && entry[len]; i++)
        if (kept[i].len == len && memcmp(kept[i].name, entry, len) == 0)
            *(const char **)(void *)((char *)p + kept[i].at) = entry + len + 1;
}

static void params_find(struct params *p, char **envp)
{
    memset(p, 0, sizeof(*p));
    for (; envp && *envp; envp++)
        param_keep(p, *envp);
    /* nginx sends an empty CONTENT_TYPE for a request that has none. */
    if (p->headers[HEADER_CONTENT_TYPE] && !*p->headers[HEADER_CONTENT_TYPE])
        p->headers[HEADER_CONTENT_TYPE] = NULL;
}

static size_t size_of(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static const char *keep(char **room, const char *s)
{
    char *at = *room;

    if (!s)
        return NULL;
    *room = stpcpy(at, s) + 1;
    return at;
}

/* One allocation for the request and all its texts. */
static struct request *request_make(const struct params *p)
{
    size_t size = 2 * size_of(p->target);   /* as it came, and its segments decoded */
    struct request *r;
    char *room;

    for (int h = 0; h < HEADER_COUNT; h++)
        size += size_of(p->headers[h]);
    r = calloc(1, sizeof(*r) + size);
    if (!r)
        return NULL;
    room = r->texts;
    r->method = request_method(p->method);
    r->operators = p->listener && strcmp(p->listener, "operators") == 0;
    r->target = keep(&room, p->target);
    r->space = room;
    room += size_of(p->target);
    for (int h = 0; h < HEADER_COUNT; h++)
        r->headers[h] = keep(&room, p->headers[h]);
    return r;
}

/* To the end of the stream, so that nothing stays unread in the socket: closing it then would
 * destroy the reply on its way. False: it does not end. */
static bool drop_rest(FCGX_Stream *in)
{
    char trash[8192];
    size_t dropped = 0;
    int n = 1;

    while (dropped < TRASH_MAX && (n = FCGX_GetStr(trash, sizeof(trash), in)) > 0)
        dropped += (size_t)n;
    return n <= 0;
}

/* FCGX_GetStr gives less than was asked for only at the end of the stream. */
static enum intake body_read(FCGX_Request *f, const char *declared, size_t max, char **body,
                             size_t *len)
{
    size_t expected = declared ? strtoul(declared, NULL, 10) : 0;
    size_t cap = expected > 0 && expected <= max ? expected + 1 : BODY_FIRST;

    *body = NULL;
    for (*len = 0; *len <= max && *len < cap;) {
        char *more = realloc(*body, cap);
        int n;

        if (!more)
            return INTAKE_BROKEN;
        *body = more;
        n = FCGX_GetStr(*body + *len, (int)(cap - *len), f->in);
        *len += n > 0 ? (size_t)n : 0;
        if (*len < cap)
            break;
        cap *= 2;
    }
    if (*len > max) {
        if (!drop_rest(f->in))
            f->keepConnection = 0;
        return INTAKE_TOO_LARGE;
    }
    return FCGX_GetError(f->in) != 0 || *len < expected ? INTAKE_BROKEN : INTAKE_OK;
}

static enum intake request_read(FCGX_Request *f, size_t max_body, struct request **out)
{
    enum intake result;
    struct params p;
    struct request *r = NULL;
    char *body = NULL;
    size_t len;

    params_find(&p, f->envp);
    if (!p.method || !p.target)
        return INTAKE_BROKEN;
    result = body_read(f, p.length, max_body, &body, &len);
    if (result != INTAKE_BROKEN)
        r = request_make(&p);
    if (!r || result == INTAKE_TOO_LARGE || len == 0) {
        free(body);
        body = NULL;
    }
    if (!r)
        return INTAKE_BROKEN;
    r->body = body;
    r->body_len = body ? len : 0;
    *out = r;
    return result;
}

void intake_prepare(int fd, const struct intake_options *o)
{
    struct timeval tv = { o->read_timeout / 1000, (o->read_timeout % 1000) * 1000 };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

enum intake intake_read(int fd, const struct intake_options *o, struct taken *out)
{
    enum intake result;
    FCGX_Request f;

    *out = (struct taken){ 0 };
    FCGX_InitRequest(&f, 0, 0);
    f.ipcFd = fd;
    f.listen_sock = -1;         /* after a broken request libfcgi would accept the next itself */
    f.keepConnection = 1;       /* else it closes the connection before it reads from it */
    if (FCGX_Accept_r(&f) != 0)
        return INTAKE_BROKEN;   /* it has closed the fd */
    result = request_read(&f, o->max_body, &out->request);
    out->fcgi_id = (unsigned short)f.requestId;
    out->keep = f.keepConnection;
    FCGX_Free(&f, 0);           /* 17 KB, which a waiting stream must not cost */
    if (result == INTAKE_BROKEN)
        close(fd);
    return result;
}
