#ifndef CONFAB_SESSION_RECORD_H
#define CONFAB_SESSION_RECORD_H
/* What is known of a session besides its dialog. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/io/redis.h"

/* Texts are borrowed, and "" when there is none. */
struct session_record {
    struct redis_arg id, username, title, prompt;
    int64_t          turns;
    int64_t          created_at, updated_at;    /* wall ms */
};

/* The record of the HTTP interface. */
bool session_record_json(struct buf *out, const struct session_record *r);

/* Takes username, title, prompt, turns, created, updated out of a reply, from element `first`
 * on. False when there is no such session. Borrows from the reply. */
bool session_record_take(struct session_record *r, const struct redisReply *reply, size_t first);

#endif
