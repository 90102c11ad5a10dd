/* A stand-in for Google that answers at once, so that what a benchmark sees is the work of who
 * asks it: the token, and what a runner does with documents.
 *
 *   google ADDRESS PORT [DELAY-MS]
 *
 * With a delay each answer about a document comes so much later, as Google's do. GET /counts tells
 * how many documents were made, are filled and are published: each counts once. SIGTERM ends it. */

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { BODY_MAX = 8 << 20, HEAD_MAX = 64 << 10, PATIENCE_S = 600 };

#define FILES  "/drive/v3/files"
#define UPLOAD "/upload/drive/v3/files"

enum step { MADE = 1, FILLED, PUBLISHED };

/* What has become of each document. Its id is its place here. */
static struct { unsigned char *step; size_t count, room; } documents;
static size_t             counts[PUBLISHED + 1];
static struct timeval     delay;
static struct event_base *base;

static size_t make_document(void)
{
    if (documents.count == documents.room) {
        documents.room = documents.room ? 2 * documents.room : 1024;
        documents.step = realloc(documents.step, documents.room);
        if (!documents.step)
            abort();
    }
    documents.step[documents.count] = MADE;
    counts[MADE]++;
    return documents.count++;
}

static bool advance(size_t document, enum step step)
{
    if (document >= documents.count)
        return false;
    if (documents.step[document] < step) {
        documents.step[document] = (unsigned char)step;
        counts[step]++;
    }
    return true;
}

/* --- answers --- */

struct answer { struct evhttp_request *request; struct evbuffer *body; int status; };

static void send_answer(struct answer *a)
{
    evhttp_add_header(evhttp_request_get_output_headers(a->request), "Content-Type",
                      "application/json; charset=UTF-8");
    evhttp_send_reply(a->request, a->status, a->status == 200 ? "OK" : "Not Found", a->body);
    evbuffer_free(a->body);
}

static void on_delayed(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    send_answer(arg);
    free(arg);
}

/* A request whose client leaves meanwhile stays evhttp's until it is answered. */
static void answer_later(const struct answer *a)
{
    struct answer *copy = malloc(sizeof(*copy));

    if (!copy)
        abort();
    *copy = *a;
    event_base_once(base, -1, EV_TIMEOUT, on_delayed, copy, &delay);
}

static void answer_document(struct evhttp_request *q, bool found, size_t document)
{
    struct answer a = { q, evbuffer_new(), found ? 200 : 404 };

    if (found)      /* as long as Google's ids are */
        evbuffer_add_printf(a.body, "{\"id\":\"1%043zu\",\"parents\":[\"staging\"]}", document);
    else
        evbuffer_add_printf(a.body, "{\"error\":{\"code\":404,\"message\":\"File not found\"}}");
    if (delay.tv_sec || delay.tv_usec)
        answer_later(&a);
    else
        send_answer(&a);
}

static void answer_text(struct evhttp_request *q, const char *text)
{
    struct answer a = { q, evbuffer_new(), 200 };

    evbuffer_add(a.body, text, strlen(text));
    send_answer(&a);
}

static void answer_counts(struct evhttp_request *q)
{
    char text[128];

    snprintf(text, sizeof(text), "{\"made\":%zu,\"filled\":%zu,\"published\":%zu}", counts[MADE],
             counts[FILLED], counts[PUBLISHED]);
    answer_text(q, text);
}

/* --- requests --- */

static bool document_in(const char *path, const char *folder, size_t *document)
{
    size_t len = strlen(folder);

    if (strncmp(path, folder, len) != 0 || path[len] != '/' || path[len + 1] != '1')
        return false;
    *document = strtoull(path + len + 2, NULL, 10);
    return true;
}

static void on_request(struct evhttp_request *q, void *arg)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(q));
    enum evhttp_cmd_type method = evhttp_request_get_command(q);
    size_t document;

    (void)arg;
    if (method == EVHTTP_REQ_POST && strcmp(path, "/token") == 0)
        answer_text(q, "{\"access_token\":\"ya29.bench\",\"expires_in\":3599,"
                    "\"token_type\":\"Bearer\"}");
    else if (method == EVHTTP_REQ_POST && strcmp(path, FILES) == 0)
        answer_document(q, true, make_document());
    else if (method == EVHTTP_REQ_PATCH && document_in(path, UPLOAD, &document))
        answer_document(q, advance(document, FILLED), document);
    else if (method == EVHTTP_REQ_PATCH && document_in(path, FILES, &document))
        answer_document(q, advance(document, PUBLISHED), document);
    else if (strcmp(path, "/counts") == 0)
        answer_counts(q);
    else        /* the sweeper's search, which finds nothing */
        answer_text(q, "{\"files\":[]}");
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    event_base_loopbreak(arg);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct evhttp *http;
    struct event *stop;

    if (argc < 3) {
        fputs("usage: google ADDRESS PORT [DELAY-MS]\n", stderr);
        return 2;
    }
    if (argc > 3)
        delay = (struct timeval){ atoi(argv[3]) / 1000, atoi(argv[3]) % 1000 * 1000 };
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    base = event_base_new();
    http = base ? evhttp_new(base) : NULL;
    if (!http || evhttp_bind_socket(http, argv[1], (ev_uint16_t)atoi(argv[2])) != 0) {
        perror("google: cannot listen");
        return 1;
    }
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PATCH);
    evhttp_set_max_body_size(http, BODY_MAX);
    evhttp_set_max_headers_size(http, HEAD_MAX);
    evhttp_set_timeout(http, PATIENCE_S);
    evhttp_set_gencb(http, on_request, NULL);
    stop = evsignal_new(base, SIGTERM, on_signal, base);
    event_add(stop, NULL);
    event_base_dispatch(base);
    event_free(stop);
    evhttp_free(http);
    event_base_free(base);
    free(documents.step);
    return 0;
}
