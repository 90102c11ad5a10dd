#ifndef CONFAB_TURN_H
#define CONFAB_TURN_H
/* A stored turn: the user's text and the answer in ONE entry of the session's list, so
 * that half a turn cannot exist. Two lines of compact JSON, which holds no newline of its own:
 *
 *   {"id":1772357400000123,"asked":1772357400000,"answered":1772357403210,"model":"gpt-4o-mini"}
 *   {"role":"user","content":"..."},{"role":"assistant","content":"..."}
 *
 * The second line goes to the model as it stands, between commas. `id` is the fence number
 * under which the turn was made (unique in the session); "interrupted":true marks an
 * answer that was cut when its client left. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct turn {
    int64_t     id;
    int64_t     asked_at, answered_at;      /* wall clock, ms */
    const char *user;  size_t user_len;
    const char *bot;   size_t bot_len;
    const char *model;                      /* who answered; "" when not known */
    bool        interrupted;
};

bool turn_encode(struct buf *out, const struct turn *t);
/* The second line of an entry; len 0 when the entry is not one. */
void turn_messages(const char *entry, size_t len, const char **messages, size_t *messages_len);
/* A whole entry. *t borrows from *holder, which the caller frees with turn_release. */
struct turn_holder { void *meta, *messages; };
enum err_code turn_decode(const char *entry, size_t len, struct turn *t, struct turn_holder *holder,
                          struct err *e);
void turn_release(struct turn_holder *holder);

#endif
