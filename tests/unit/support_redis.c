/* The private Redis of support.h. */
#include <check.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "tests/unit/support.h"

enum { START_MS = 20000, OPTIONS_MAX = 32 };

struct support_redis {
    pid_t       pid;
    const char *dir;                    /* lives as long as the process */
    char        socket[128];
    char        url[160];
    const char *options[OPTIONS_MAX];   /* borrowed */
};

/* Runs in the child: dies with its parent, and logs into its folder. */
static void become_redis(const struct support_redis *r, pid_t parent)
{
    const char *argv[OPTIONS_MAX + 32] = {
        "redis-server", "--bind", "127.0.0.1", "--unixsocket", r->socket, "--dir", r->dir,
        "--logfile", "redis.log", "--daemonize", "no", "--save", "", "--appendonly", "yes",
        "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--port", "0",
    };
    size_t n = 0;

    while (argv[n])
        n++;
    for (size_t i = 0; r->options[i]; i++)
        argv[n++] = r->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

void support_redis_launch(struct support_redis *r)
{
    pid_t parent = getpid();

    ck_assert_int_eq(r->pid, 0);
    unlink(r->socket);
    r->pid = fork();
    ck_assert_int_ge(r->pid, 0);
    if (r->pid == 0)
        become_redis(r, parent);
}

static redisContext *connect_now(const struct support_redis *r)
{
    struct timeval limit = { 10, 0 };
    redisContext *c = redisConnectUnixWithTimeout(r->socket, limit);

    if (c && c->err) {
        redisFree(c);
        return NULL;
    }
    if (c)
        redisSetTimeout(c, limit);
    return c;
}

/* Any answer will do: one that asks for a password is an answer. */
static bool answers(const struct support_redis *r)
{
    redisContext *c = connect_now(r);
    redisReply *reply = c ? redisCommand(c, "PING") : NULL;
    bool yes = reply && !(reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, "LOADING", 7));

    if (reply)
        freeReplyObject(reply);
    if (c)
        redisFree(c);
    return yes;
}

void support_redis_again(struct support_redis *r)
{
    const struct timespec tick = { 0, 2 * 1000 * 1000 };
    int64_t end = clock_ms() + START_MS;

    support_redis_launch(r);
    while (!answers(r)) {
        ck_assert_int_lt(clock_ms(), end);
        ck_assert_msg(waitpid(r->pid, NULL, WNOHANG) == 0, "redis-server does not start; see %s",
                      r->dir);
        nanosleep(&tick, NULL);
    }
}

struct support_redis *support_redis_start_with(const char *const *options)
{
    struct support_redis *r = calloc(1, sizeof *r);

    ck_assert_ptr_nonnull(r);
    r->dir = support_dir();
    for (size_t i = 0; options && options[i]; i++) {
        ck_assert_uint_lt(i, OPTIONS_MAX - 1);
        r->options[i] = options[i];
    }
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", r->dir);
    snprintf(r->url, sizeof r->url, "unix://%s", r->socket);
    support_redis_again(r);
    return r;
}

struct support_redis *support_redis_start(void)
{
    return support_redis_start_with(NULL);
}

void support_redis_kill(struct support_redis *r)
{
    if (!r->pid)
        return;
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    r->pid = 0;
}

void support_redis_stop(struct support_redis *r)
{
    if (!r)
        return;
    support_redis_kill(r);
    free(r);
}

void support_redis_freeze(struct support_redis *r)
{
    kill(r->pid, SIGSTOP);
}

void support_redis_thaw(struct support_redis *r)
{
    kill(r->pid, SIGCONT);
}

const char *support_redis_url(const struct support_redis *r)
{
    return r->url;
}

const char *support_redis_socket(const struct support_redis *r)
{
    return r->socket;
}

static void print_reply(struct buf *out, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        buf_addf(out, "%lld", reply->integer);
        break;
    case REDIS_REPLY_NIL:
        buf_adds(out, "(nil)");
        break;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) {
            if (i)
                buf_addc(out, '\n');
            print_reply(out, reply->element[i]);
        }
        break;
    default:
        buf_add(out, reply->str, reply->len);
    }
}

char *support_redis_ask(struct support_redis *r, const char *fmt, ...)
{
    redisContext *c = connect_now(r);
    redisReply *reply;
    struct buf text;
    va_list args;

    ck_assert_msg(c != NULL, "no connection to %s", r->socket);
    va_start(args, fmt);
    reply = redisvCommand(c, fmt, args);
    va_end(args);
    ck_assert_msg(reply != NULL, "%s: %s", fmt, c->errstr);
    buf_init(&text, 64 << 20);
    print_reply(&text, reply);
    freeReplyObject(reply);
    redisFree(c);
    return buf_steal(&text, NULL);
}

void support_redis_flush(struct support_redis *r)
{
    char *said = support_redis_ask(r, "FLUSHALL");

    ck_assert_str_eq(said, "OK");
    free(said);
}

int support_free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}
