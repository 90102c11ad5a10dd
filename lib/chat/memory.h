#ifndef CONFAB_MEMORY_H
#define CONFAB_MEMORY_H
/* What falls out of the window is folded into a rolling summary by the model, in the background,
 * after a turn was saved.
 *
 * The summary stands in the session's hash with the number of the last turn in it, and so lives
 * and goes with the session. The turns themselves stay where they are: a fold that fails loses
 * nothing, and a later turn begins it again. Few folds run at once, one a session; what is too
 * much is left to a later turn, and a turn never waits for any of it. */

#include <stddef.h>
#include <stdint.h>

#include "lib/base/settings.h"
#include "lib/chat/model.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

enum { MEMORY_FOLDS_MAX = 2 };          /* at once in a process */

/* What stands before the summary in the message that the model is shown. */
#define MEMORY_PREFACE "What was said earlier in this conversation, in short:\n\n"

struct memory;

/* All are borrowed and outlive the result. NULL: out of memory. */
struct memory *memory_new(struct loop *l, struct redis *redis, struct model *model,
                          const struct settings *s);
/* Ends what is under way; nothing of it is saved. NULL: nothing. */
void memory_free(struct memory *m);

/* Folds the turns up to number `last` into the session's summary, as many of them as the model can
 * take in at once. Nobody is told how it ends. Does nothing unless session.memory = summary. */
void memory_fold(struct memory *m, const char *tenant, const char *id, size_t id_len,
                 int64_t last);
/* How many are under way. */
size_t memory_folding(const struct memory *m);

#endif
