#ifndef CONFAB_TASK_H
#define CONFAB_TASK_H
/* A write-to-doc task's record, and how it is looked up. How tasks are accepted is in
 * task_accept.h, what a runner does with them in task_work.h.
 *
 * The hash c1:task:<id> is the truth, the stream only the doorbell. Accepted means durable: hash,
 * indexes, the session's mark (which keeps the dialog alive) and a place in the queue are
 * written by one script. A task writes the dialog as it was at acceptance: the number of turns
 * stands in the hash. All times are those of Redis.
 *
 * The fields have short names, as finished records stay for weeks (a few hundred bytes each):
 *
 *   tn  tenant                          ec  code and
 *   se  session id                      ed  words of the last failed try, until one succeeds
 *   nt  turns of the dialog             tr  tries in a row that failed, also those for free
 *   st  status                          tk  fence token of the latest reservation
 *   at  attempts, those that count      -- while the stream has an entry for it:
 *   t0  created                         en  the entry's id; any other is a duplicate
 *   t1  latest attempt began            -- while running:
 *   t2  finished or failed              un  end of the lease
 *   sk  kind of store                   co  the consumer that holds it
 *   do  document's id in the store      -- while it is not known to be harmless:
 *   pf  when it was the cause of a      cr  crashes in which it was in flight
 *       pause, until it is finished     ct  token of the latest that crashed with it
 *                                       al  "alone", or "poison": how it was reserved last
 *                                       ac  crashes while it ran alone
 *
 * A pending task has an entry in the stream, a place in line or one in the set of due ones. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/settings.h"
#include "lib/chat/keys.h"
#include "lib/io/redis.h"

enum task_status { TASK_PENDING, TASK_RUNNING, TASK_FINISHED, TASK_FAILED };
const char *task_status_name(enum task_status s);

struct task {
    char             id[KEYS_TASK_MAX + 1];
    char             tenant[KEYS_TENANT_MAX + 1];
    char             session[KEYS_SESSION_MAX + 1];
    enum task_status status;
    int64_t          turns;              /* of the dialog that it writes */
    int64_t          attempts, tries;    /* see at and tr above */
    int64_t          created_at, started_at, finished_at;    /* wall ms; 0 = not yet */
    char             store[16];          /* "google" | "folder", once a document is known */
    char             document[1024];     /* its id in that store, or ""; of a large dialog's pages
                                            each its own, with blanks between them */
    char             error_code[40];     /* of the last failed try, or "" */
    char             error_detail[256];
};

/* Fields of the hash as HGETALL gives them. ERR_NO_TASK when empty. */
enum err_code task_from_reply(const char *id, const struct redisReply *reply, struct task *t,
                              struct err *e);
/* The record of the HTTP interface. doc_folder: to make file: URLs of the folder store. The URL
 * is told once the task is finished: before, the document is empty or out of sight. */
bool task_json(struct buf *out, const struct task *t, const char *doc_folder);

/* The file of a document in the folder store. Its record has the slug only: a field of more than 64
 * bytes would make Redis keep the whole record in a form three times as large. */
enum { TASK_SLUG_SIZE = 64 + 1, TASK_FILE_SIZE = 256 };
void task_file_name(char out[TASK_FILE_SIZE], const char *slug, const char *task_id);

/* 1 to KEYS_TASK_MAX letters, digits, '-' and '_'. */
bool task_id_ok(const char *id, size_t len);

/* One call of this header or of task_work.h. None calls back before it has returned; NULL: out
 * of memory, no callback. */
struct task_call;
/* The callback does not come any more. What was sent may still be carried out. NULL: nothing. */
void task_call_cancel(struct task_call *c);

/* Another tenant's task is ERR_NO_TASK; tenant "": anybody's is found. t is borrowed
 * during the callback. */
typedef void task_found_fn(void *arg, const struct task *t, const struct err *e);
struct task_call *task_find(struct redis *r, const char *tenant, const char *id,
                            task_found_fn *fn, void *arg);

#endif
