#ifndef CONFAB_TEST_RUNNER_SUPPORT_H
#define CONFAB_TEST_RUNNER_SUPPORT_H
/* What the tests of runners share: runners that live in the test's own loop, and a store that does
 * what the test says. */

#include "jobrunner/runner.h"
#include "tests/unit/task_support.h"

enum { OPS_MAX = 64 };

/* Each write asks to record "doc-<task id>" (if say_document) at its only checkpoint, then, once
 * it may go on, ends with the verdict, or stays if hold is set. */
struct fake_op;
extern struct fake_store {
    struct store       store;           /* first */
    enum store_verdict verdict;
    int                retry_after;
    bool               hold, say_document;
    int64_t            step_ms;
    struct fake_op    *ops[OPS_MAX];
    int                open, most_open, begun, proceeded, cancelled, done;
    char               html[100000];    /* of the latest write */
    size_t             pages, page_ends[STORE_PAGES_MAX];   /* the same */
    int64_t            page_max;
    char               known[64];       /* the document known before it */
} fake;
/* What is held, and all that comes, may end. */
void fake_release(void);

struct machine {
    struct redis    *redis, *reader;
    struct sessions *sessions;
    struct runner   *runner;
    struct pool_slot slot;
    int              stopped;
};
extern struct machine machines[2];
void machine_start(struct machine *m);
void machine_kill(struct machine *m);       /* as by SIGKILL */
void machine_stop(struct machine *m);       /* counts `stopped` when it has */

/* A checked fixture: task_setup, a free fake store, a dialog "s" of three turns, no runner. */
void runner_setup(void);
void runner_teardown(void);

/* Each waits for what it names. */
void until_field(const char *id, const char *field, const char *value);
void until_status(const char *id, enum task_status status);
void until_it_reads(void);                  /* a runner waits for new entries */

#endif
