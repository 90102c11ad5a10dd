#ifndef CONFAB_TEST_TASK_SUPPORT_H
#define CONFAB_TEST_TASK_SUPPORT_H
/* What the tests of tasks share: a Redis, a connection to it, sessions to write down, and each
 * call of task.h and task_work.h made in one line. */

#include "lib/chat/task_accept.h"
#include "lib/chat/task_admin.h"
#include "lib/chat/task_queue.h"
#include "lib/chat/task_work.h"
#include "tests/unit/support.h"

extern struct support_redis *task_server;   /* of the whole case */
extern struct loop          *task_loop;     /* of one test, as all below */
extern struct redis         *task_redis;
extern struct task_desk     *task_desk;
extern struct settings       task_settings; /* a test changes what it is about */

/* Unchecked: a Redis for the case. Checked: an empty one with the group, loop and connection. */
void task_case_setup(void);
void task_case_teardown(void);
void task_setup(void);
void task_teardown(void);

/* One command; the reply as text, as support_redis_ask has it, good until the test ends. */
const char *task_ask(const char *fmt, ...);
#define task_expect(wanted, ...) ck_assert_str_eq(task_ask(__VA_ARGS__), wanted)

/* A dialog of so many turns: "question 1", "answer 1", ... */
void task_dialog(const char *session, int turns);

/* The accepted task's id. */
const char *task_make(const char *session);
enum err_code task_make_with(const char *session, const char *key, const char *body,
                             char id[KEYS_TASK_MAX + 1]);
/* An accepted task without a turn of the loop. */
void task_put(const char *id, const char *session);
/* The task's record, as it is now. */
struct task task_now(const char *id);
const char *task_field(const char *id, const char *field);

/* The next entry of the stream that was handed to nobody, read as this consumer; "" when there
 * is none. */
const char *task_read(const char *consumer);

/* A runner's hold on a task. */
struct hold {
    struct task task;
    char        token[TASK_TOKEN_SIZE], entry[48];
    const char *consumer;
    bool        alone;
};
/* A new token asks for the task that the next entry names. */
enum task_reserved task_take(const char *consumer, struct hold *h);
enum task_reserved task_take_entry(const char *consumer, const char *id, const char *entry,
                                   struct hold *h);
/* The same call once more, as after a lost reply. */
enum task_reserved task_take_again(struct hold *h);

/* True: held. */
bool hold_renew(const struct hold *h);
bool hold_record(const struct hold *h, const char *document);
bool hold_finish(const struct hold *h, const char *document);
bool hold_postpone(const struct hold *h, int64_t delay_ms, bool counts, const char *code);
enum paused { PAUSE_HELD, PAUSE_LOST, PAUSE_OWN };
enum paused hold_pause(const struct hold *h, const char *code);
bool hold_fail(const struct hold *h, const char *code, const char *detail);

/* The lease of whoever holds it has passed. */
void task_lease_passes(const char *id);

int64_t queue_wake_due(void);
int64_t queue_reconcile(void);      /* all pages */
int64_t queue_reconcile_unless(int64_t lately_ms);      /* another began so lately */
int64_t queue_forget_consumers(int64_t idle_ms);
int64_t queue_sweep_index(void);                /* all pages */
int64_t queue_hold(bool pause);
int64_t queue_budget(int64_t per_minute);
bool    queue_sweep_document(const char *task_id, const char *document);
struct task_queue_state queue_state(void);

/* A page of tasks: their ids, each with a comma behind it, good until the test ends. status: -1 =
 * any; session: NULL = any. */
struct task_page { const char *ids; size_t count; char next[TASK_CURSOR_SIZE]; enum err_code code; };
struct task_page task_page(int status, const char *session, int limit, const char *cursor);

enum err_code task_do_retry(const char *id);
enum err_code task_do_remove(const char *id, enum task_removal what);

#endif
