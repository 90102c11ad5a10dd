#ifndef CONFAB_CTL_H
#define CONFAB_CTL_H
/* What all commands of confabctl share: the settings, a loop, a connection to Redis, and waiting
 * for one asynchronous call at a time.
 *
 *     if (!ctl_redis(c) || !task_find(c->redis, tenant, id, on_found, c))
 *         return ctl_failed(c);
 *     return ctl_wait(c);
 *
 * and in on_found, whatever the outcome: print, then ctl_end(c, e). */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/err.h"
#include "lib/base/settings.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

enum { CTL_USAGE = 2 };             /* exit status: the command line was wrong */

struct ctl {
    struct settings settings;
    struct loop    *loop;
    struct redis   *redis;          /* NULL until ctl_redis */
    struct err      err;            /* of the last wait, or why something could not be begun */
};

/* Opens the connection, once. False: c->err says why. */
bool ctl_redis(struct ctl *c);
/* Turns the loop until the callback of the call that was begun calls ctl_end. The exit
 * status: an error is told on standard error. */
int  ctl_wait(struct ctl *c);
void ctl_end(struct ctl *c, const struct err *e);   /* e NULL: well */
/* Something could not be begun: says why (out of memory, when c->err does not know), and
 * returns the exit status. */
int  ctl_failed(struct ctl *c);

/* Each command: argv[0] is the last word of its name, the rest its arguments. Returns the exit
 * status; CTL_USAGE makes main print c->err, if there is one, and the command's usage. */
int ctl_check(struct ctl *c, int argc, char **argv);        /* check.c */
int ctl_key_add(struct ctl *c, int argc, char **argv);      /* key.c */
int ctl_key_list(struct ctl *c, int argc, char **argv);
int ctl_key_revoke(struct ctl *c, int argc, char **argv);
int ctl_pool(struct ctl *c, int argc, char **argv);         /* pool.c */
int ctl_tasks_list(struct ctl *c, int argc, char **argv);   /* tasks.c */
int ctl_tasks_show(struct ctl *c, int argc, char **argv);
int ctl_tasks_retry(struct ctl *c, int argc, char **argv);
int ctl_tasks_retry_all(struct ctl *c, int argc, char **argv);
int ctl_tasks_cancel(struct ctl *c, int argc, char **argv);
int ctl_tasks_delete(struct ctl *c, int argc, char **argv);
int ctl_tasks_pause(struct ctl *c, int argc, char **argv);  /* tasks_queue.c */
int ctl_tasks_resume(struct ctl *c, int argc, char **argv);
int ctl_tasks_queue(struct ctl *c, int argc, char **argv);
int ctl_usage(struct ctl *c, int argc, char **argv);        /* usage.c */

#endif
