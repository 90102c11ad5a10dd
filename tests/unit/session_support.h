#ifndef CONFAB_TEST_SESSION_SUPPORT_H
#define CONFAB_TEST_SESSION_SUPPORT_H
/* What the tests of sessions share: handler processes ("children") that live in the test's
 * own loop, and users who each take one turn. */

#include "lib/chat/session.h"
#include "tests/unit/support.h"

extern struct support_redis *redis_server;  /* of the whole case */
extern struct loop          *loop;          /* of one test, as all below */
extern struct settings       settings;      /* generous; a test changes what it is about */

/* Unchecked: a Redis for the case. Checked: an empty one, a loop, no children yet. */
void session_case_setup(void);
void session_case_teardown(void);
void session_setup(void);
void session_teardown(void);

struct child { struct redis *redis, *wake; struct sessions *sessions; };
/* Goes with the test. deaf: nobody wakes it. */
struct child *child_new(void);
struct child *child_new_deaf(void);
/* As by SIGKILL: gives nothing back. Its users hear nothing any more. */
void child_kill(struct child *c);

/* One request. The texts are copies. */
struct user {
    struct session_turn *turn;          /* NULL when it is over */
    bool          answered;             /* begun, replayed or failed */
    bool          begun, replayed, saved;
    enum err_code failed;               /* ERR_OK = not */
    int           retry_after;
    int           place;                /* the how-manieth of all that have begun */
    int64_t       number;
    size_t        window_count;
    char          prompt[64];
    char          window[4096];         /* one turn a line */
    char          replay[1024];
};

/* All live as long as the test. key and body may be NULL. */
struct user *user_begin(struct child *c, const char *session);
struct user *user_begin_with(struct child *c, const struct session_request *q);
struct user *user_repeat(struct child *c, const char *session, const char *key, const char *body);
void user_save(struct user *u, const char *said, const char *answer);
void user_drop(struct user *u);

/* Each waits for what it names; _now means: long before a lease could end. */
void user_until_answered(struct user *u);
void user_until_begun_now(struct user *u);
void user_until_saved(struct user *u);
/* A whole turn, by a child of its own kind. */
void take_turn(struct child *c, const char *session, const char *said, const char *answer);
/* The user is in the session's queue, as Redis sees it. */
void until_queue_has(const char *session, int waiters);

/* support_redis_ask, to compare with what is expected. */
void expect(const char *wanted, const char *fmt, ...);

#endif
