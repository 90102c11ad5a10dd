#include "lib/base/failpoint.h"

#ifdef CONFAB_FAILPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ORDERS_MAX = 16, NAME_MAX_LEN = 80, SEEN_MAX = 128 };

struct order { char name[NAME_MAX_LEN], act[16]; int when, met; };

static struct order orders[ORDERS_MAX];
static int order_count = -1;
static char seen[SEEN_MAX][NAME_MAX_LEN];
static int seen_count;

/* NAME=ACT[@N];... A broken order ends the process: a test that orders nothing proves nothing. */
static void read_orders(void)
{
    const char *text = getenv("CONFAB_FAILPOINTS");
    char *copy = strdup(text ? text : ""), *rest = copy, *one;

    order_count = 0;
    while ((one = strsep(&rest, ";"))) {
        struct order *o = &orders[order_count];

        if (!*one)
            continue;
        o->when = 1;
        if (order_count == ORDERS_MAX ||
            sscanf(one, "%79[^=]=%15[a-z/0-9]@%d", o->name, o->act, &o->when) < 2) {
            fprintf(stderr, "CONFAB_FAILPOINTS: cannot read \"%s\"\n", one);
            abort();
        }
        order_count++;
    }
    free(copy);
}

/* One line more in the file that this variable names, if it does. */
static void write_down(const char *variable, const char *name)
{
    const char *path = getenv(variable);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

    if (fd >= 0) {
        dprintf(fd, "%s\n", name);
        close(fd);
    }
}

static void note(const char *name)
{
    for (int i = 0; i < seen_count; i++)
        if (strcmp(seen[i], name) == 0)
            return;
    if (seen_count < SEEN_MAX)
        strcpy(seen[seen_count++], name);
    write_down("CONFAB_FAILPOINTS_SEEN", name);
}

static bool carry_out(const struct order *o)
{
    struct timespec pause;
    long ms;

    if (strcmp(o->act, "kill") == 0) {
        write_down("CONFAB_FAILPOINTS_DIED", o->name);
        kill(getpid(), SIGKILL);
        pause = (struct timespec){ .tv_sec = 60 };
        nanosleep(&pause, NULL);
    } else if (sscanf(o->act, "delay/%ld", &ms) == 1) {
        pause = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
        nanosleep(&pause, NULL);
    }
    return strcmp(o->act, "drop") == 0;
}

bool failpoint(const char *where, const char *what)
{
    char name[NAME_MAX_LEN];
    bool drop = false;

    if (order_count < 0)
        read_orders();
    snprintf(name, sizeof(name), "%s:%s", where, what);
    note(name);
    for (int i = 0; i < order_count; i++)
        if (strcmp(orders[i].name, name) == 0 && ++orders[i].met == orders[i].when)
            drop = carry_out(&orders[i]) || drop;
    return drop;
}

#else
/* An empty translation unit is not ISO C. */
typedef int failpoint_not_built;
#endif
