#ifndef CONFAB_INPUT_H
#define CONFAB_INPUT_H
/* Reading what several routes take in the same form: a session's id in the path, the parameters
 * of a list. All return the code of *e. */

#include "fcgi/request.h"
#include "lib/chat/keys.h"

/* The session id in this segment of the path. ERR_INVALID unless it may be one. */
enum err_code input_session(const struct request *r, size_t segment, struct segment *out,
                            struct err *e);

/* A text of the query, of UTF-8 without control characters; "" when it is absent. size: of out,
 * with its '\0'. ERR_INVALID when it is there and empty, too long or broken. */
enum err_code input_query(const struct request *r, const char *name, char *out, size_t size,
                          struct err *e);
/* "limit", 1 to max; 50 when absent. */
enum err_code input_limit(const struct request *r, int64_t max, int64_t *out, struct err *e);

#endif
