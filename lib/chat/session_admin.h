#ifndef CONFAB_SESSION_ADMIN_H
#define CONFAB_SESSION_ADMIN_H
/* Sessions as a whole: made, found, named, forgotten. Their turns are session.h's, pages of
 * them session_list.h's.
 *
 * No call calls back before it has returned; NULL: out of memory, no callback. Ids have passed
 * session_id_check. */

#include <stddef.h>

#include "lib/base/settings.h"
#include "lib/chat/keys.h"
#include "lib/chat/session_record.h"

enum { SESSION_USERNAME_MAX = KEYS_USERNAME_MAX, SESSION_TITLE_MAX = 512 };

/* 1 to max bytes of UTF-8 without control characters: usernames and titles. */
enum err_code session_label_check(const char *field, const char *s, size_t len, size_t max,
                                  struct err *e);

struct session_op;
/* The callback does not come any more. What was sent may still be carried out. NULL: nothing. */
void session_op_cancel(struct session_op *op);

struct session_new {
    const char *tenant;
    const char *username, *title, *prompt;          /* NULL = none */
    const char *idempotency_key;                    /* or NULL */
    const char *body_hash;                          /* with a key only */
};
/* id is borrowed; for a repeat with the same key the first one's. e: ERR_KEY_REUSED, ERR_STORE. */
typedef void session_created_fn(void *arg, const char *id, const struct err *e);
struct session_op *session_create(struct redis *r, const struct settings *s,
                                  const struct session_new *n, session_created_fn *fn, void *arg);

/* The record is borrowed during the callback. e: ERR_NO_SESSION, ERR_STORE. */
typedef void session_record_fn(void *arg, const struct session_record *record,
                               const struct err *e);
struct session_op *session_find(struct redis *r, const char *tenant, const char *id, size_t len,
                                session_record_fn *fn, void *arg);
/* title "" = none. */
struct session_op *session_rename(struct redis *r, const char *tenant, const char *id, size_t len,
                                  const char *title, session_record_fn *fn, void *arg);

/* See session_forget.lua for what goes with it. e: ERR_NO_SESSION, ERR_STORE. */
typedef void session_forgotten_fn(void *arg, const struct err *e);
struct session_op *session_forget(struct redis *r, const struct settings *s, const char *tenant,
                                  const char *id, size_t len, session_forgotten_fn *fn, void *arg);

#endif
