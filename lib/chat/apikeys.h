#ifndef CONFAB_APIKEYS_H
#define CONFAB_APIKEYS_H
/* Who a sent key is. Keys come from API_KEY, from API_KEYS_FILE (both read once, and good without
 * Redis), and from Redis, where confabctl puts them: those are looked up when they are met, and
 * remembered for limits.key_cache, within which a revocation bites.
 *
 * access = auto: the API is open to all, as tenant "default", until there is a first key of any
 * kind; keys: never open; open: whoever sends no known key is let in as "default". That a key was
 * ever made in Redis is written there and stays: revoking the last one opens nothing. */

#include "lib/base/settings.h"
#include "lib/chat/apikey.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

struct apikeys;
/* s and redis are borrowed. ERR_INVALID names the line of the file that is wrong. */
enum err_code apikeys_new(struct loop *l, struct redis *redis, const struct settings *s,
                          struct apikeys **out, struct err *e);
void          apikeys_free(struct apikeys *a);  /* pending callbacks do not come any more */

/* token NULL: none was sent. YES: *key is set, and borrowed until the loop turns. */
enum apikeys_answer { APIKEYS_NO, APIKEYS_YES, APIKEYS_ASK };
enum apikeys_answer apikeys_known(struct apikeys *a, const char *token, size_t len,
                                  struct apikey **key);

/* After APIKEYS_ASK. Exactly one of key (borrowed) and e is NULL: ERR_UNAUTHORIZED, ERR_STORE.
 * Never calls back before it has returned. NULL: out of memory, no callback. */
typedef void apikeys_fn(void *arg, struct apikey *key, const struct err *e);
struct apikeys_call *apikeys_ask(struct apikeys *a, const char *token, size_t len, apikeys_fn *fn,
                                 void *arg);
void apikeys_cancel(struct apikeys_call *c);    /* no callback comes. NULL: nothing */

/* How many keys came from the settings. */
size_t apikeys_given(const struct apikeys *a);

#endif
