#ifndef CONFAB_GOOGLE_ERROR_H
#define CONFAB_GOOGLE_ERROR_H
/* What Google's error answers mean for a job, in words that tell the operator what to change. No
 * I/O. Ids and tokens in Google's own words are masked. */

#include <stddef.h>

#include "jobrunner/google/exchange.h"
#include "jobrunner/store.h"
#include "lib/base/err.h"

/* Of a Drive call that did not end well: e is set, and the verdict is never STORE_OK. 401 is
 * STORE_TRY_AGAIN here; who holds the token repeats once before asking. 404 is
 * STORE_MISCONFIGURED; who knows better looks at the status first. */
enum store_verdict google_error_drive(const struct exchange_reply *r, struct err *e);

/* The same of the token endpoint. */
enum store_verdict google_error_token(const struct exchange_reply *r, struct err *e);

/* True when a 404 speaks of this id. */
bool google_error_names(const struct exchange_reply *r, const char *id);

#endif
