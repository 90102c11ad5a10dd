#ifndef CONFAB_APIKEYS_ADMIN_H
#define CONFAB_APIKEYS_ADMIN_H
/* The keys in Redis, as an operator makes, lists and revokes them. None of these calls back before
 * it has returned; false: out of memory, and no callback comes. They cannot be cancelled. */

#include "lib/chat/apikey.h"

/* ERR_INVALID: the tenant has a key of that name. */
typedef void apikeys_done_fn(void *arg, const char *name, const struct err *e);
bool apikeys_add(struct redis *r, const struct apikey_spec *spec, apikeys_done_fn *fn, void *arg);

/* which: "tenant:name", or at least eight digits of an id. In the callback its "tenant:name". */
bool apikeys_revoke(struct redis *r, const char *which, apikeys_done_fn *fn, void *arg);

struct apikeys_row { struct apikey_spec spec; int64_t created_at; /* wall ms */ };
/* By tenant and name. Borrowed during the callback. */
typedef void apikeys_list_fn(void *arg, const struct apikeys_row *rows, size_t count,
                             const struct err *e);
bool apikeys_list(struct redis *r, const char *tenant, apikeys_list_fn *fn, void *arg);

#endif
