/* One transfer as libcurl sees it: its options and its callbacks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/io/http_call.h"

enum { SMALL_RECEIVE = 1024, SMALL_SEND = 16 << 10 };

/* libcurl asks a server before it sends a larger body, unless it is told not to. */
enum { EXPECT_BODY = 1 << 20 };

/* Looking for a kept connection costs libcurl time in proportion to all there are, a new one to
 * a server nearby does not: above this many, connections are not kept. */
enum { REUSE_CALLS_MAX = 256 };

static size_t on_line(char *bytes, size_t one, size_t len, void *arg)
{
    (void)one;
    return http_answer_line(arg, bytes, len) ? len : 0;
}

/* While paused nothing is taken: libcurl keeps these bytes, and reads no more. */
static size_t on_bytes(char *bytes, size_t one, size_t len, void *arg)
{
    struct http_call *c = arg;

    (void)one;
    if (c->paused && c->state == HTTP_RUNNING) {
        c->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return http_answer_body(c, bytes, len) ? len : 0;
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
    c->again = c->sent;
    c->sent = true;
    return c->state == HTTP_RUNNING && !c->again ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

void transfer_repeat(struct http_call *c)
{
    curl_multi_remove_handle(c->http->multi.curl, c->easy);
    c->sent = false;
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
        http_fail(c, ERR_POOL_BUSY, "no file is left for a connection");
    else if (c->problem == ERR_POOL_BUSY)       /* there was none for another of its addresses */
        c->problem = ERR_OK;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static bool set_method(struct http_call *c, const struct http_request *q)
{
    CURL *easy = c->easy;
    CURLcode rc = CURLE_OK;

    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);    /* nothing of the request before */
    if (strcmp(q->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (c->has_body) {
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

bool transfer_prepare(struct http_call *c, const struct http_request *q,
                      const struct http_headers *headers)
{
    struct curl_slist *lines = http_headers_list(headers, c->body_len > EXPECT_BODY);

    if (!c->easy && !new_handle(c))
        return false;
    set_reuse(c);
    return curl_easy_setopt(c->easy, CURLOPT_URL, q->url) == CURLE_OK && set_method(c, q) &&
           curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, lines) == CURLE_OK;
}

bool transfer_connect(struct http_call *c, const char *url)
{
    return (c->easy || new_handle(c)) &&
           curl_easy_setopt(c->easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
           curl_easy_setopt(c->easy, CURLOPT_URL, url) == CURLE_OK;
}

/* libcurl closes its own with the handle. */
int transfer_take_socket(struct http_call *c)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    int fd;

    curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &socket);
    fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    curl_multi_remove_handle(c->http->multi.curl, c->easy);
    curl_easy_cleanup(c->easy);
    c->easy = NULL;
    return fd;
}
