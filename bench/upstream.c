/* An instant OpenAI-like upstream, so that what a benchmark sees is the work of who asks it.
 *
 *   upstream ADDRESS PORT [CERTIFICATE KEY]
 *
 * One process, one epoll; over TLS, if there is a certificate. Any POST is a chat completion: with
 * "stream":true an event stream, else one JSON object. The whole answer comes at once, unless the
 * last message says "#bench tokens=N gap_ms=G#": then N tokens, G ms apart, the first after a random
 * part of G.
 *
 * Each token's text is "t=<ns>; ", the monotonic clock as it was handed to the kernel. Whoever
 * reads it on this machine knows how long it was on its way. SIGTERM ends it. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/wire.h"
#include "lib/base/buf.h"

enum { EVENTS = 512, REQUEST_MAX = 4 << 20, UNSENT_MAX = 1 << 20, READ_SIZE = 64 << 10 };

#define CHUNK_HEAD "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\"," \
    "\"created\":1700000000,\"model\":\"bench\",\"system_fingerprint\":\"fp_bench\","

struct peer {
    struct wire wire;
    struct buf in;
    struct buf out;             /* what the socket did not take */
    bool       waits_to_write;
    int64_t    due;             /* of the next token; 0 = nothing is being streamed */
    int64_t    gap;
    unsigned   tokens;          /* still to come */
    size_t     place;           /* in the heap */
};

/* Those that stream, the next one first. */
static struct { struct peer **at; size_t count, room; } heap;
static int poller;
static SSL_CTX *identity;       /* NULL: in the clear */
static volatile sig_atomic_t stopping;

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* --- the heap --- */

static void heap_set(size_t i, struct peer *p)
{
    heap.at[i] = p;
    p->place = i;
}

static void heap_sift(size_t i, struct peer *p)
{
    for (size_t up; i > 0 && heap.at[up = (i - 1) / 2]->due > p->due; i = up)
        heap_set(i, heap.at[up]);
    for (size_t down; (down = 2 * i + 1) < heap.count; i = down) {
        if (down + 1 < heap.count && heap.at[down + 1]->due < heap.at[down]->due)
            down++;
        if (heap.at[down]->due >= p->due)
            break;
        heap_set(i, heap.at[down]);
    }
    heap_set(i, p);
}

static void heap_add(struct peer *p)
{
    if (heap.count == heap.room) {
        heap.room = heap.room ? 2 * heap.room : 1024;
        heap.at = realloc(heap.at, heap.room * sizeof(*heap.at));
        if (!heap.at)
            abort();
    }
    heap.count++;
    heap_sift(heap.count - 1, p);
}

static void heap_remove(struct peer *p)
{
    struct peer *last = heap.at[--heap.count];

    if (last != p)
        heap_sift(p->place, last);
    p->due = 0;
}

/* --- bytes out --- */

static void peer_close(struct peer *p)
{
    if (p->due)
        heap_remove(p);
    wire_close(&p->wire);
    buf_close(&p->in);
    buf_close(&p->out);
    free(p);
}

static void watch(struct peer *p, bool writing)
{
    struct epoll_event e = { .events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = p };

    if (p->waits_to_write != writing)
        epoll_ctl(poller, EPOLL_CTL_MOD, p->wire.fd, &e);
    p->waits_to_write = writing;
}

/* False: the peer is gone, or does not read. */
static bool put(struct peer *p, const char *bytes, size_t len)
{
    ssize_t n = 0;

    if (p->out.len == 0) {
        n = wire_send(&p->wire, bytes, len);
        if (n < 0 && errno != EAGAIN)
            return false;
        n = n < 0 ? 0 : n;
    }
    if ((size_t)n == len)
        return true;
    watch(p, true);
    return buf_add(&p->out, bytes + n, len - (size_t)n);
}

static bool flush(struct peer *p)
{
    ssize_t n = wire_send(&p->wire, p->out.data, p->out.len);

    if (n < 0)
        return errno == EAGAIN;
    buf_consume(&p->out, (size_t)n);
    watch(p, p->out.len > 0);
    return true;
}

/* --- answers --- */

static int add_token(char *at, size_t room)
{
    return snprintf(at, room, CHUNK_HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                    "\"t=%019lld; \"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
                    (long long)now_ns());
}

static const char head_events[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char chunk_role[] =
    CHUNK_HEAD "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
    "\"logprobs\":null,\"finish_reason\":null}]}\n\n";
static const char chunk_end[] =
    CHUNK_HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
    "\"finish_reason\":\"stop\"}]}\n\n"
    CHUNK_HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,"
    "\"total_tokens\":21}}\n\ndata: [DONE]\n\n";

static bool put_chunk(struct peer *p, const char *text, size_t len)
{
    char whole[2048];
    int n = snprintf(whole, sizeof(whole), "%zx\r\n%.*s\r\n", len, (int)len, text);

    return put(p, whole, (size_t)n);
}

/* The token that is due, and after the last one the end. */
static bool put_token(struct peer *p)
{
    char text[512];
    int n = add_token(text, sizeof(text));

    if (!put_chunk(p, text, (size_t)n))
        return false;
    p->due += p->gap;
    if (--p->tokens > 0) {
        heap_sift(p->place, p);
        return true;
    }
    heap_remove(p);
    return put_chunk(p, chunk_end, sizeof(chunk_end) - 1) && put(p, "0\r\n\r\n", 5);
}

static bool begin_stream(struct peer *p)
{
    if (!put(p, head_events, sizeof(head_events) - 1) ||
        !put_chunk(p, chunk_role, sizeof(chunk_role) - 1))
        return false;
    p->due = now_ns() + (int64_t)((double)random() / RAND_MAX * (double)p->gap) + 1;
    heap_add(p);
    return true;
}

static bool put_whole_stream(struct peer *p)
{
    char body[2048], whole[4096];
    int n;

    memcpy(body, chunk_role, sizeof(chunk_role));
    n = (int)sizeof(chunk_role) - 1;
    n += add_token(body + n, sizeof(body) - (size_t)n);
    memcpy(body + n, chunk_end, sizeof(chunk_end));
    n += (int)sizeof(chunk_end) - 1;
    n = snprintf(whole, sizeof(whole), "%s%x\r\n%s\r\n0\r\n\r\n", head_events, (unsigned)n, body);
    return put(p, whole, (size_t)n);
}

static bool put_whole_object(struct peer *p)
{
    char body[1024], whole[2048];
    int n = snprintf(body, sizeof(body), "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\","
                     "\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,"
                     "\"message\":{\"role\":\"assistant\",\"content\":\"t=%019lld; \"},"
                     "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{"
                     "\"prompt_tokens\":9,\"completion_tokens\":12,\"total_tokens\":21}}",
                     (long long)now_ns());

    n = snprintf(whole, sizeof(whole), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 "Content-Length: %d\r\n\r\n%s", n, body);
    return put(p, whole, (size_t)n);
}

/* --- requests --- */

/* Of the last "#bench " in the body: the history repeats the earlier ones. */
static void read_pace(struct peer *p, const char *body)
{
    unsigned tokens = 0, gap_ms = 0;
    const char *found = NULL;

    for (const char *at = body; (at = strstr(at, "#bench ")); at++)
        found = at;
    if (found && sscanf(found, "#bench tokens=%u gap_ms=%u#", &tokens, &gap_ms) == 2) {
        p->tokens = tokens;
        p->gap = gap_ms * 1000000LL;
    }
}

static bool answer(struct peer *p, const char *body)
{
    p->tokens = 0;
    read_pace(p, body);
    if (!strstr(body, "\"stream\":true") && !strstr(body, "\"stream\": true"))
        return put_whole_object(p);
    return p->tokens > 0 ? begin_stream(p) : put_whole_stream(p);
}

/* Bytes of the first request in p->in, 0 while it is not whole. */
static size_t request_size(const struct peer *p, const char **body)
{
    const char *end = strstr(p->in.data, "\r\n\r\n");
    const char *length = end ? strcasestr(p->in.data, "\r\nContent-Length:") : NULL;
    size_t size;

    if (!end)
        return 0;
    *body = end + 4;
    size = (size_t)(*body - p->in.data);
    if (length && length < end)
        size += strtoul(length + 17, NULL, 10);
    return p->in.len >= size ? size : 0;
}

static bool take(struct peer *p)
{
    const char *body;
    size_t size;
    ssize_t n;

    for (;;) {
        char *room = buf_reserve(&p->in, READ_SIZE);

        n = room ? wire_recv(&p->wire, room, READ_SIZE) : 0;
        if (n <= 0)
            break;
        buf_grew(&p->in, (size_t)n);
        if (n < READ_SIZE && !p->wire.tls)
            break;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return false;
    while (p->in.len > 0 && (size = request_size(p, &body)) > 0) {
        if (!answer(p, body))
            return false;
        buf_consume(&p->in, size);
    }
    if (p->in.len == 0) {       /* a stream at rest is to cost us little */
        buf_close(&p->in);
        buf_init(&p->in, REQUEST_MAX);
    }
    return true;
}

static void on_peer(struct peer *p, uint32_t what)
{
    if (((what & EPOLLOUT) && !flush(p)) || ((what & ~EPOLLOUT) && !take(p)))
        peer_close(p);
}

static void on_listener(int listener)
{
    int fd, yes = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };

        if (!p)
            abort();
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        if (!wire_open(&p->wire, fd, identity))
            abort();
        buf_init(&p->in, REQUEST_MAX);
        buf_init(&p->out, UNSENT_MAX);
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_on(const char *address, int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 16384) != 0) {
        perror("upstream: cannot listen");
        exit(1);
    }
    return fd;
}

/* What is due, then until the next is. */
static void until_next(struct timespec *wait)
{
    int64_t left = 1000000000, now;

    while (heap.count > 0 && (left = heap.at[0]->due - (now = now_ns())) <= 0) {
        struct peer *p = heap.at[0];

        if (!put_token(p))
            peer_close(p);
    }
    left = heap.count == 0 || left > 1000000000 ? 1000000000 : left;
    *wait = (struct timespec){ left / 1000000000, left % 1000000000 };
}

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct epoll_event events[EVENTS] = { { .events = EPOLLIN, .data.ptr = NULL } };
    int listener;

    if (argc != 3 && argc != 5) {
        fputs("usage: upstream ADDRESS PORT [CERTIFICATE KEY]\n", stderr);
        return 2;
    }
    if (argc == 5 && !(identity = wire_identity(argv[3], argv[4])))
        return 1;
    listener = listen_on(argv[1], atoi(argv[2]));
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);   /* TLS writes without MSG_NOSIGNAL */
    poller = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &events[0]);
    while (!stopping) {
        struct timespec wait;
        int n;

        until_next(&wait);
        n = epoll_pwait2(poller, events, EVENTS, &wait, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_peer(events[i].data.ptr, events[i].events);
            else
                on_listener(listener);
        }
    }
    return 0;
}
