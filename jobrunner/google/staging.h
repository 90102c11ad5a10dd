#ifndef CONFAB_GOOGLE_STAGING_H
#define CONFAB_GOOGLE_STAGING_H
/* The folder, out of sight, in which documents are made, and the id of this installation, which is
 * written on all that it makes. Looked up once per process, by whoever needs it first; the others
 * wait.
 *
 * Both live in the hash c1:install. A folder may have a generated id, so the id is kept there
 * before the folder is made, and however many runners start at once, there is one folder. */

#include "jobrunner/google/call.h"
#include "lib/base/settings.h"
#include "lib/io/redis.h"

enum { STAGING_INSTALLATION_SIZE = 33, STAGING_ID_SIZE = 128 };

struct staging;
/* All borrowed. NULL: out of memory. */
struct staging *staging_new(const struct google *g, struct redis *r, const struct settings *s);
void            staging_free(struct staging *s);    /* pending callbacks do not come */

struct staging_wait;
/* folder and installation: borrowed during the call; NULL exactly when the verdict is not STORE_OK,
 * and then e is set. */
typedef void staging_fn(void *arg, const char *folder, const char *installation,
                        enum store_verdict verdict, const struct err *e);
/* Never calls back before it has returned. NULL: out of memory, no callback. */
struct staging_wait *staging_get(struct staging *s, staging_fn *fn, void *arg);
void staging_cancel(struct staging_wait *w);        /* NULL: nothing */
/* Google does not find this folder: it is looked up anew, and made anew. */
void staging_lost(struct staging *s, const char *folder);

#endif
