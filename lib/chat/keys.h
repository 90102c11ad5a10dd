#ifndef CONFAB_KEYS_H
#define CONFAB_KEYS_H
/* The name of every key in Redis, in one place (version c1). The tenant stands, in braces,
 * in each key of its data; it is a name of the operator's, without braces of its own. The
 * length before a session id makes it impossible for an id to spell another key's ending.
 *
 *   c1:{tenant}:s:<len>:<id>         hash   session: prompt, title, username, turns, created,
 *                                           updated (ms); summary, summary_turns (how many are in
 *                                           it); tasks: how many of its tasks need the dialog;
 *                                           t:<task id>: each task's time of acceptance, negative
 *                                           when that task does not need the dialog any more
 *   c1:{tenant}:s:<len>:<id>:msgs    list   one entry a turn, see turn.h; only appended to
 *   c1:{tenant}:s:<len>:<id>:lock    hash   fence, until, owner, ticket, deleted: see turn_begin.lua;
 *                                           w:<member> of those who wait: alive until
 *   c1:{tenant}:s:<len>:<id>:wait    zset   those who wait for the lock, by order of arrival
 *   c1:{tenant}:s:<len>:<id>:kept    hash   a deleted session that running tasks still read;
 *                     ...:kept:msgs  list   goes when the last of them ends
 *   c1:{tenant}:idx:sessions         zset   session ids by time of creation (us)
 *   c1:{tenant}:idx:user:<username>  zset   the same of one user's sessions
 *   c1:{tenant}:idx:tasks            stream task ids, in the order of acceptance
 *   c1:{tenant}:idx:open             zset   tasks that are not finished or failed, by acceptance
 *   c1:{tenant}:idx:failed           zset   failed tasks by when they failed
 *   c1:{tenant}:idem:<hash>          hash   a request with an Idempotency-Key: says, state,
 *                                           fence, turn; or says, task; or says, session
 *   c1:task:<id>                     hash   a task, see task.h
 *   c1:tasks:running                 zset   tasks that a runner has, by when it took them
 *   c1:tasks:due                     zset   tasks that wait for their next try, by when it is due
 *   c1:tasks:waiting                 zset   tasks that wait for a place in the stream, by turn
 *   c1:tasks:fair                    hash   v: whose turn it is; t:<tenant>: its last one's turn
 *   c1:tasks:control                 hash   window: entries that the stream may hold; tidied: when the
 *                                           latest search for lost tasks began; of a pause:
 *                                           hand, hand_words; fault, words, since, tries, next,
 *                                           canary, culprit; lifted, by: of the last one
 *   c1:tasks:budget                  hash   left, at: writes to Google that may be made now
 *   c1:tasks:tenants                 zset   tenants that have an index of tasks, by name
 *   c1:tasks:sweeper                 string somebody looks through the staging folder
 *   c1:tasks:swept                   zset   documents marked to be trashed, which nobody may record
 *   c1:tasks:stream                  stream the doorbell of the runners; group "runners"
 *   c1:{tenant}:k:<key id>:times     list   when a key's requests of the last minute came
 *   c1:{tenant}:k:<key id>:flight    zset   a key's turns in flight, by the end of their lease
 *   c1:{tenant}:use:<day>            hash   what the tenant's keys have used on a day (since 1970):
 *                                           "<key id> requests", ...: see lua/quota.inc
 *   c1:key:<SHA-256>                 hash   a key: tenant, name, created, limits
 *   c1:keys                          hash   hashes of all keys, by "tenant:name"
 *   c1:tenants                       set    whoever has used anything
 *   c1:install                       hash   this installation: its id, its staging folder, keys (how
 *                                           many were ever made)
 *   c1:wake:<child>                  channel of one handler process */

#include <stddef.h>

#include "lib/io/redis.h"

enum { KEYS_TENANT_MAX = 64, KEYS_SESSION_MAX = 256, KEYS_USERNAME_MAX = 256,
       KEYS_TASK_MAX = 64,
       KEYS_SIZE = 3 + KEYS_TENANT_MAX + KEYS_SESSION_MAX + 32 };

#define KEYS_TASKS_RUNNING "c1:tasks:running"
#define KEYS_TASKS_DUE     "c1:tasks:due"
#define KEYS_TASKS_WAITING "c1:tasks:waiting"
#define KEYS_TASKS_FAIR    "c1:tasks:fair"
#define KEYS_TASKS_CONTROL "c1:tasks:control"
#define KEYS_TASKS_BUDGET  "c1:tasks:budget"
#define KEYS_TASKS_TENANTS "c1:tasks:tenants"
#define KEYS_TASKS_SWEPT   "c1:tasks:swept"
#define KEYS_TASKS_SWEEPER "c1:tasks:sweeper"
#define KEYS_TASKS_STREAM  "c1:tasks:stream"
#define KEYS_TASKS_PREFIX  "c1:task:"
#define KEYS_TASKS_GROUP   "runners"
#define KEYS_INSTALL       "c1:install"
#define KEYS_APIKEYS       "c1:keys"
#define KEYS_TENANTS       "c1:tenants"

struct key { char s[KEYS_SIZE]; size_t len; };

/* All of them assert that the parts keep to the lengths above. s ends with a '\0' that len does
 * not count. kind: "" (the hash), "msgs", "lock", "wait", "kept", "kept:msgs". id may hold any byte. */
struct key key_session(const char *tenant, const char *id, size_t len, const char *kind);
struct key key_sessions_index(const char *tenant);
struct key key_user_index(const char *tenant, const char *username, size_t len);
struct key key_idempotency(const char *tenant, const char *hash);
struct key key_task(const char *task_id);
struct key key_wake(const char *child);
struct key key_apikey(const char *hash);        /* hash "": what all of them begin with */
/* kind: "times", "flight" */
struct key key_quota(const char *tenant, const char *apikey_id, const char *kind);
struct key key_usage(const char *tenant);       /* what the days' keys begin with */
static inline struct redis_arg key_arg(const struct key *k)
{
    return (struct redis_arg){ k->s, k->len };
}

#endif
