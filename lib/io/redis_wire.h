#ifndef CONFAB_REDIS_WIRE_H
#define CONFAB_REDIS_WIRE_H
/* Inside of redis.c: the protocol's form (RESP2). A command is its head, then each argument;
 * replies are parsed by hiredis. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/io/redis.h"

/* The most that a head, or one argument of len bytes, takes. */
enum { WIRE_HEAD_MAX = 24 };
static inline size_t wire_arg_max(size_t len) { return len + 26; }

/* Both write at `at` and return where they ended. */
char *wire_put_head(char *at, size_t argc);
char *wire_put_arg(char *at, struct redis_arg arg);
/* A whole small command; words end with NULL. */
bool wire_add(struct buf *out, const char *const *words);

/* Does the reply tell this fault ("NOSCRIPT")? */
bool wire_fault_is(const struct redisReply *r, const char *word);
/* ERR_OK, ERR_STORE when the server cannot serve now, ERR_INTERNAL. */
enum err_code wire_fault(const struct redisReply *r);

#endif
