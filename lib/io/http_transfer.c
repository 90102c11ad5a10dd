/* One transfer as libcurl sees it: its options, and what comes out of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/io/http_call.h"

enum { HEADERS_MAX = 64 << 10, SMALL_RECEIVE = 1024, SMALL_SEND = 16 << 10 };

/* libcurl asks a server before it sends a larger body, unless it is told not to. */
enum { EXPECT_BODY = 1 << 20 };

/* Looking for a kept connection costs libcurl time in proportion to all there are, a new one to
 * a server nearby does not: above this many, connections are not kept. */
enum { REUSE_CALLS_MAX = 256 };

void transfer_forget_request(struct http_call *c)
{
    if (c->body)
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, NULL);
    if (c->headers)
        curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    http_headers_free(c->headers);
    free(c->body);
    c->headers = NULL;
    c->body = NULL;
}

/* Ends the transfer from within a callback of libcurl: 0 bytes taken. */
static size_t give_up(struct http_call *c, enum err_code problem, const char *text)
{
    c->problem = problem;
    c->problem_text = text;
    return 0;
}

/* libcurl reads the request again only while it could still have to repeat it, which is until the
 * answer begins; but a server may answer before it has heard all. */
static void forget_sent_request(struct http_call *c)
{
    curl_off_t sent = 0;

    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if ((size_t)sent >= c->body_len)
        transfer_forget_request(c);
}

static size_t on_head_end(struct http_call *c, size_t len)
{
    if (c->line_status < 200)
        return len;
    c->status = c->line_status;
    c->heard_at = clock_ms();
    call_watch(c);
    forget_sent_request(c);
    if (c->on.on_status)
        c->on.on_status(c->arg, c->status);
    return c->state == HTTP_RUNNING ? len : 0;
}

static bool is_identity(const char *value)
{
    return *value == '\0' || strcasecmp(value, "identity") == 0;
}

/* line: "Name: value" without its end, writable. */
static size_t on_field(struct http_call *c, char *line, size_t len)
{
    char *value = strchr(line, ':'), *end;

    if (!value)
        return len;
    *value++ = '\0';
    value += strspn(value, " \t");
    for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
        end[-1] = '\0';
    for (char *at = line; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at += 'a' - 'A';
    if (strcmp(line, "content-encoding") == 0 && !is_identity(value))
        c->compressed = true;
    if (c->on.on_header)
        c->on.on_header(c->arg, line, value);
    return c->state == HTTP_RUNNING ? len : 0;
}

/* "HTTP/1.1 200 OK"; 0 when it is not one. */
static int status_of(const char *line)
{
    const char *blank = strncmp(line, "HTTP/", 5) == 0 ? strchr(line, ' ') : NULL;

    return blank ? atoi(blank + 1) : 0;
}

static size_t on_line(char *bytes, size_t one, size_t len, void *arg)
{
    struct http_call *c = arg;
    struct buf *line = &c->http->line;
    size_t text = len;
    int status;

    (void)one;
    if (c->state != HTTP_RUNNING)
        return 0;
    c->header_bytes += len;
    if (c->header_bytes > HEADERS_MAX)
        return give_up(c, ERR_UPSTREAM, "the headers are larger than 64 KiB");
    if (c->status)
        return len;     /* a trailer */
    while (text && (bytes[text - 1] == '\n' || bytes[text - 1] == '\r'))
        text--;
    if (text == 0)
        return on_head_end(c, len);
    buf_clear(line);
    if (!buf_add(line, bytes, text))
        return give_up(c, ERR_INTERNAL, "out of memory");
    status = status_of(line->data);
    if (status)
        c->line_status = status;
    else if (c->line_status >= 200)
        return on_field(c, line->data, len);
    return len;
}

/* While paused nothing is taken: libcurl keeps these bytes, and reads no more. */
static size_t on_bytes(char *bytes, size_t one, size_t len, void *arg)
{
    struct http_call *c = arg;

    (void)one;
    if (c->state != HTTP_RUNNING)
        return 0;
    if (c->paused) {
        c->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (c->compressed)
        return give_up(c, ERR_UPSTREAM, "the answer is compressed, though that was not asked for");
    c->heard_at = clock_ms();
    if (c->body)
        forget_sent_request(c);
    if (c->on.on_body && !c->on.on_body(c->arg, bytes, len))
        return give_up(c, ERR_CANCELLED, "the answer was not wanted any more");
    return c->state == HTTP_RUNNING ? len : 0;
}

/* libcurl itself would repeat it up to five times, on one dead connection after the other: it
 * looks whether they live only once a second. */
static int on_sending(void *arg, char *to, char *from, int to_port, int from_port)
{
    struct http_call *c = arg;

    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    call_connected(c);
    c->again = c->sent;
    c->sent = true;
    return c->state == HTTP_RUNNING && !c->again ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

void transfer_repeat(struct http_call *c)
{
    c->sent = c->again = false;
    c->line_status = 0;
    c->curl_says[0] = '\0';
    curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, 1L);
}

/* That we have no file left is nobody's fault but ours. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_call *c = arg;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

    (void)purpose;
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        give_up(c, ERR_POOL_BUSY, "no file is left for a connection");
    else if (c->problem == ERR_POOL_BUSY)       /* there was none for another of its addresses */
        c->problem = ERR_OK;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* The first line is for large bodies only. */
struct http_headers { struct curl_slist *lines; };

void http_headers_free(struct http_headers *p)
{
    if (!p)
        return;
    for (struct curl_slist *line = p->lines; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(p->lines);
    free(p);
}

static bool add_line(struct http_headers *p, const char *line)
{
    struct curl_slist *longer = strpbrk(line, "\r\n") ? NULL : curl_slist_append(p->lines, line);

    if (longer)
        p->lines = longer;
    return longer;
}

struct http_headers *http_headers_new(const char *const *lines)
{
    struct http_headers *p = calloc(1, sizeof *p);
    /* No waiting for "100 Continue": many servers never say it. */
    bool ok = p && add_line(p, "Expect:");

    for (; ok && lines && *lines; lines++)
        ok = add_line(p, *lines);
    if (ok)
        return p;
    http_headers_free(p);
    return NULL;
}

struct http_url { CURLU *parts; };

struct http_url *http_url_new(const char *url)
{
    struct http_url *u = calloc(1, sizeof *u);

    if (u)
        u->parts = curl_url();
    if (u && u->parts && curl_url_set(u->parts, CURLUPART_URL, url, 0) == CURLUE_OK)
        return u;
    http_url_free(u);
    return NULL;
}

void http_url_free(struct http_url *u)
{
    if (u)
        curl_url_cleanup(u->parts);
    free(u);
}

static bool set_url(struct http_call *c, const struct http_request *q)
{
    CURLU *parts = q->url ? NULL : q->parsed->parts;

    return curl_easy_setopt(c->easy, CURLOPT_CURLU, parts) == CURLE_OK &&
           (parts || curl_easy_setopt(c->easy, CURLOPT_URL, q->url) == CURLE_OK);
}

/* libcurl looks each of its own headers up among these: the fewer the better. */
static bool set_headers(struct http_call *c, const struct http_request *q)
{
    const struct http_headers *p = q->prepared;

    if (q->headers || !p) {
        c->headers = http_headers_new(q->headers);
        p = c->headers;
    }
    return p && curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER,
                                 c->body_len > EXPECT_BODY ? p->lines : p->lines->next) == CURLE_OK;
}

static bool set_method(struct http_call *c, const struct http_request *q)
{
    CURL *easy = c->easy;
    bool bodyless = strcmp(q->method, "GET") == 0 || strcmp(q->method, "DELETE") == 0;
    CURLcode rc = CURLE_OK;

    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);    /* nothing of the request before */
    if (strcmp(q->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (c->body || !bodyless) {
        rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, c->body ? c->body : "");
    }
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
    return rc == CURLE_OK;
}

static void set_reuse(struct http_call *c)
{
    const struct http *h = c->http;
    bool keep = h->max_idle > 0 && h->count < REUSE_CALLS_MAX;

    curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, keep ? 0L : 1L);
    curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, keep ? 0L : 1L);
}

static void set_limits(struct http_call *c)
{
    const struct http *h = c->http;
    CURL *easy = c->easy;

    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)h->connect_timeout);
    if (h->small_buffers) {
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)SMALL_RECEIVE);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SMALL_SEND);
    }
}

/* HTTP/2 is left alone on purpose: in this libcurl each event of a connection runs all of its
 * transfers, and one that is paused stalls the others. */
static bool set_protocol(struct http_call *c)
{
    const struct http *h = c->http;
    CURL *easy = c->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SHARE, h->share);
    if (h->user_agent)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, h->user_agent);
    /* Only a file is kept parsed by libcurl: with a folder beside it each connection would read
     * and hold all authorities of the system itself, a megabyte and more. */
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (h->ca_file && curl_easy_setopt(easy, CURLOPT_CAINFO, h->ca_file) != CURLE_OK)
        return false;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
}

/* What stays as it is for all that the handle is used for. */
static bool new_handle(struct http_call *c)
{
    c->easy = curl_easy_init();
    if (!c->easy)
        return false;
    curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
    curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->curl_says);
    curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_line);
    curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(c->easy, CURLOPT_PREREQDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETDATA, c);
    set_limits(c);
    return set_protocol(c);
}

bool transfer_prepare(struct http_call *c, const struct http_request *q)
{
    if (!c->easy && !new_handle(c))
        return false;
    set_reuse(c);
    return set_url(c, q) && set_method(c, q) && set_headers(c, q);
}
