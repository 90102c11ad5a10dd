#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"

/* Below PIPE_BUF, so that a pipe takes a line whole or not at all. */
enum { LINE_MAX_BYTES = 2048 };

static struct {
    const char    *program;
    enum log_level level;
    int            fd;      /* standard error, or the same pipe opened anew */
    bool           is_file; /* which never blocks */
    bool           no_socket;   /* found out with the first line */
    unsigned long  lost;    /* lines since the last one that fitted */
} state = { "confab", LOG_LEVEL_INFO, STDERR_FILENO, false, false, 0 };

/* What the lines of a level begin with, made anew each second. */
static struct head { int64_t second; size_t len; char text[160]; } heads[LOG_LEVEL_ERROR + 1];

/* Standard error is shared with other processes, which may rely on it to block. A pipe can
 * be opened once more, and that opening is ours alone to make non-blocking. */
static int open_output(void)
{
    struct stat st;
    int fd;

    if (fstat(STDERR_FILENO, &st) != 0)
        return STDERR_FILENO;
    state.is_file = S_ISREG(st.st_mode);
    if (!S_ISFIFO(st.st_mode))
        return STDERR_FILENO;
    fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : STDERR_FILENO;
}

void log_init(const char *program, enum log_level level)
{
    if (state.fd != STDERR_FILENO)
        close(state.fd);
    state.program = program;
    state.level = level;
    state.is_file = false;
    state.fd = open_output();
    state.no_socket = false;
    memset(heads, 0, sizeof(heads));
}

enum log_level log_level(void)
{
    return state.level;
}

void log_prefix(struct log *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(l->prefix, sizeof(l->prefix), fmt, ap);
    va_end(ap);
}

/* False when it would have blocked, or nobody reads. */
static bool put(const char *line, size_t len)
{
    struct pollfd room = { .fd = state.fd, .events = POLLOUT };
    ssize_t n;

    if (!state.no_socket) {
        n = send(state.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);     /* journald's socket */
        if (n >= 0 || errno != ENOTSOCK)
            return n > 0;
        state.no_socket = true;
    }
    if (state.fd == STDERR_FILENO && !state.is_file &&
        (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT)))
        return false;           /* not ours to make non-blocking */
    return write(state.fd, line, len) > 0;
}

/* Control characters and what is not UTF-8 become \n, \t or \xHH. Returns the length of out. */
static size_t escape(char *out, size_t size, const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0, width; i < len; i += width) {
        if (s[i] >= ' ' && s[i] <= '~') {       /* nearly all there is */
            if (n + 1 >= size)
                break;
            out[n++] = s[i];
            width = 1;
            continue;
        }
        size_t left = len - i < 4 ? len - i : 4;
        char piece[8];

        for (width = 1; width < left && !text_is_utf8(s + i, width); width++)
            ;
        if (text_is_utf8(s + i, width) && !text_has_control(s + i, width)) {
            memcpy(piece, s + i, width);
            piece[width] = '\0';
        } else if (s[i] == '\n' || s[i] == '\t') {
            width = 1;
            snprintf(piece, sizeof(piece), "\\%c", s[i] == '\n' ? 'n' : 't');
        } else {
            width = 1;
            snprintf(piece, sizeof(piece), "\\x%02x", (unsigned char)s[i]);
        }
        if (n + strlen(piece) >= size)
            break;
        n += strlen(piece);
        memcpy(out + n - strlen(piece), piece, strlen(piece));
    }
    return n;
}

static void make_head(struct head *h, enum log_level level, int64_t now)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    char time[CLOCK_RFC3339_SIZE];
    int n = snprintf(h->text, sizeof(h->text), "time=%s level=%s prog=%s pid=%d",
                     clock_rfc3339(now, time), names[level], state.program, (int)getpid());

    h->second = now / 1000;
    h->len = (size_t)n < sizeof(h->text) ? (size_t)n : sizeof(h->text) - 1;
}

/* The parts that every line has. Of one second to another only the milliseconds differ. */
static size_t head(char *out, enum log_level level)
{
    enum { MS_AT = sizeof("time=2026-03-01T09:30:00.") - 1 };
    struct head *h = &heads[level];
    int64_t now = clock_wall_ms();
    int ms = (int)((now % 1000 + 1000) % 1000);

    if (h->len == 0 || h->second != now / 1000)
        make_head(h, level, now);
    memcpy(out, h->text, h->len);
    out[MS_AT] = (char)('0' + ms / 100);
    out[MS_AT + 1] = (char)('0' + ms / 10 % 10);
    out[MS_AT + 2] = (char)('0' + ms % 10);
    return h->len;
}

static void tell_lost(void)
{
    char line[256];
    size_t n = head(line, LOG_LEVEL_WARN);

    n += (size_t)snprintf(line + n, sizeof(line) - n, " log lost_lines=%lu\n", state.lost);
    if (put(line, n))
        state.lost = 0;
}

void log_line(enum log_level level, const struct log *l, const char *fmt, ...)
{
    char said[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    int saved = errno;
    size_t n;
    va_list ap;

    if (level < state.level)
        return;
    n = head(line, level);
    line[n++] = ' ';
    if (l && *l->prefix) {
        n += escape(line + n, sizeof(line) - n - 2, l->prefix, strlen(l->prefix));
        line[n++] = ' ';
    }
    va_start(ap, fmt);
    vsnprintf(said, sizeof(said), fmt, ap);
    va_end(ap);
    n += escape(line + n, sizeof(line) - n - 1, said, strlen(said));
    line[n++] = '\n';
    if (state.lost)
        tell_lost();
    if (state.lost || !put(line, n))
        state.lost++;
    errno = saved;
}
