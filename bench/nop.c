/* A FastCGI handler that does nothing, made of libfcgi and epoll: the most that nginx with this
 * configuration can hand on to processes behind it. As nginx keeps its connections, one that is
 * read from with patience would hold up the others. */

#include <fastcgi.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { AT_ONCE = 64 };

static void answer(FCGX_Request *r)
{
    char trash[4096];

    while (FCGX_GetStr(trash, sizeof(trash), r->in) > 0)
        continue;
    FCGX_PutS("Content-Type: application/json\r\nContent-Length: 22\r\n\r\n"
              "{\"bot_text\":\"Nothing\"}", r->out);
    FCGX_Finish_r(r);
}

static void take(int epoll)
{
    struct epoll_event readable = { .events = EPOLLIN };
    int fd = accept4(FCGI_LISTENSOCK_FILENO, NULL, NULL, SOCK_CLOEXEC);
    FCGX_Request *r;

    if (fd < 0)                 /* the other child was quicker */
        return;
    r = readable.data.ptr = malloc(sizeof(*r));
    if (!r)
        abort();
    FCGX_InitRequest(r, -1, 0);
    r->ipcFd = fd;
    r->keepConnection = 1;      /* until the request has said so */
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &readable);
}

static void turn(int epoll, FCGX_Request *r)
{
    if (!r) {
        take(epoll);
        return;
    }
    if (FCGX_Accept_r(r) == 0)
        answer(r);
    if (r->ipcFd < 0)           /* closed by libfcgi, and so it has left epoll */
        free(r);
}

int main(void)
{
    struct epoll_event listening = { .events = EPOLLIN }, ready[AT_ONCE];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1);
    FCGX_Init();
    signal(SIGTERM, SIG_DFL);   /* which it has taken to end an accept that waits */
    fcntl(FCGI_LISTENSOCK_FILENO, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, FCGI_LISTENSOCK_FILENO, &listening);
    for (;;) {
        int n = epoll_wait(epoll, ready, AT_ONCE, -1);

        for (int i = 0; i < n; i++)
            turn(epoll, ready[i].data.ptr);
    }
}
