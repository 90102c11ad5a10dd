#ifndef CONFAB_GOOGLE_ASSERTION_H
#define CONFAB_GOOGLE_ASSERTION_H
/* What is sent to the token endpoint: for a service account a signed statement (JWT, RS256,
 * RFC 7523), for a user the refresh token. */

#include <stdint.h>

#include "jobrunner/google/credentials.h"
#include "lib/base/buf.h"

/* header.claims.signature. subject: the user to act as, or "". now: seconds since 1970. */
enum err_code assertion_sign(struct buf *out, const struct credentials *c, const char *scope,
                             const char *subject, int64_t now, struct err *e);

/* The form that asks for a token. It is secret. */
enum err_code token_form(struct buf *out, const struct credentials *c, const char *scope,
                         const char *subject, int64_t now, struct err *e);

#endif
