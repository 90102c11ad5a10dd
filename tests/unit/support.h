#ifndef CONFAB_TEST_SUPPORT_H
#define CONFAB_TEST_SUPPORT_H
/* What unit tests share: waiting in the loop for a condition, temporary folders, and a
 * Redis of one's own. What fails here fails the test. All of it goes when the process
 * that made it ends, however it ends; only a killed one leaves its folders. */

#include <stdbool.h>
#include <sys/types.h>

#include "lib/io/loop.h"

/* The end of a test's main: runs all, returns the exit status. */
struct Suite;
int support_run(struct Suite *suite);

/* Turns the loop until the condition holds, for 20 s at most. */
void support_until(struct loop *l, const bool *done);
void support_until_count(struct loop *l, const int *count, int wanted);
void support_until_true(struct loop *l, bool (*holds)(void *arg), void *arg);
/* Turns the loop for ms: only to see that something does not happen. */
void support_turn(struct loop *l, int64_t ms);

/* A new folder, removed with all it holds when this process ends. Borrowed. */
const char *support_dir(void);

/* A Redis that listens on a socket in a folder of its own and promises what production
 * promises: appendonly, fsync always, noeviction. Started in an unchecked fixture it serves
 * all tests of a case; each test then takes keys of its own, or calls support_redis_flush. */
struct support_redis;
struct support_redis *support_redis_start(void);        /* returns when it answers */
/* The same with more options, NULL at the end: "--port", "7001", "--requirepass", "x". */
struct support_redis *support_redis_start_with(const char *const *options);
void        support_redis_stop(struct support_redis *r);        /* kills and forgets it */
const char *support_redis_url(const struct support_redis *r);   /* unix:///... */
const char *support_redis_socket(const struct support_redis *r);
void        support_redis_kill(struct support_redis *r);        /* SIGKILL; the data stay */
void        support_redis_again(struct support_redis *r);       /* after kill; waits for it */
void        support_redis_launch(struct support_redis *r);      /* the same, but does not wait */
void        support_redis_freeze(struct support_redis *r);      /* SIGSTOP */
void        support_redis_thaw(struct support_redis *r);        /* SIGCONT */
void        support_redis_flush(struct support_redis *r);
/* One command on a connection of its own, blocking; words separated by blanks, "%s" and "%b"
 * as hiredis takes them. Returns the reply as text: an integer in digits, an array's
 * elements one a line, nil as "(nil)", an error as "ERR ...". To be freed. */
char *support_redis_ask(struct support_redis *r, const char *fmt, ...);

/* A TCP port of the loopback that nobody listens on just now. */
int support_free_port(void);

#endif
