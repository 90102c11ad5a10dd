#ifndef CONFAB_ERR_H
#define CONFAB_ERR_H
/* The error value that travels.
 *
 * Whoever notices a fault sets it, each caller adds what it was doing, and only
 * the edge (a handler, the job runner, main) logs it, once. The table gives each
 * code its HTTP status, its stable name in a problem object, and the words that a
 * client may read. The detail is for the log, except for codes marked SHOWN,
 * whose detail speaks of the client's own input and is sent to it. */

#include <stdarg.h>
#include <stdbool.h>

#define ERR_HIDDEN false
#define ERR_SHOWN  true

/* X(code, HTTP status, stable name, is the detail for the client?, title) */
#define ERR_TABLE(X)                                                                               \
    X(ERR_OK,               200, "ok",                      ERR_HIDDEN, "OK")                      \
    X(ERR_BAD_REQUEST,      400, "bad_request",             ERR_SHOWN,  "The request is not valid") \
    X(ERR_BAD_JSON,         400, "bad_json",                ERR_SHOWN,  "The body is not valid JSON") \
    X(ERR_UNAUTHORIZED,     401, "unauthorized",            ERR_SHOWN,  "A valid key is needed")   \
    X(ERR_FORBIDDEN,        403, "forbidden",               ERR_SHOWN,  "This is not allowed")     \
    X(ERR_NO_ROUTE,         404, "route_not_found",         ERR_SHOWN,  "There is no such route")  \
    X(ERR_NO_SESSION,       404, "session_not_found",       ERR_SHOWN,  "There is no such session") \
    X(ERR_NO_TASK,          404, "task_not_found",          ERR_SHOWN,  "There is no such task")   \
    X(ERR_METHOD,           405, "method_not_allowed",      ERR_SHOWN,  "The route has no such method") \
    X(ERR_LOCKED,           409, "conversation_locked",     ERR_SHOWN,  "Another turn of this session is being answered") \
    X(ERR_TASK_STATE,       409, "task_state",              ERR_SHOWN,  "The task's status does not allow this") \
    X(ERR_SESSION_GONE,     409, "session_deleted",         ERR_SHOWN,  "The session was deleted meanwhile") \
    X(ERR_TOO_LARGE,        413, "body_too_large",          ERR_SHOWN,  "The body is too large")   \
    X(ERR_MEDIA_TYPE,       415, "unsupported_media_type",  ERR_SHOWN,  "The content type is not supported") \
    X(ERR_INVALID,          422, "invalid_field",           ERR_SHOWN,  "A field is missing or wrong") \
    X(ERR_KEY_REUSED,       422, "idempotency_key_reused",  ERR_SHOWN,  "The Idempotency-Key was used with another body") \
    X(ERR_LIMITED,          429, "too_many_requests",       ERR_SHOWN,  "Too many requests")       \
    X(ERR_CANCELLED,        499, "cancelled",               ERR_HIDDEN, "The request was cancelled") \
    X(ERR_INTERNAL,         500, "internal_error",          ERR_HIDDEN, "Something went wrong here") \
    X(ERR_UPSTREAM,         502, "upstream_failed",         ERR_HIDDEN, "The model could not be asked or its answer was broken") \
    X(ERR_UPSTREAM_REFUSED, 502, "upstream_rejected",       ERR_HIDDEN, "The model's server refused the request") \
    X(ERR_NOT_SAVED,        503, "not_saved",               ERR_HIDDEN, "The answer may not have been saved") \
    X(ERR_STORE,            503, "storage_unavailable",     ERR_HIDDEN, "The conversation store is not available") \
    X(ERR_POOL_BUSY,        503, "pool_busy",               ERR_HIDDEN, "All places are taken, try again later") \
    X(ERR_UPSTREAM_BUSY,    503, "upstream_busy",           ERR_HIDDEN, "The model is busy, try again later") \
    X(ERR_UPSTREAM_QUOTA,   503, "upstream_quota",          ERR_HIDDEN, "The model's quota is used up") \
    X(ERR_UPSTREAM_SLOW,    504, "upstream_timeout",        ERR_HIDDEN, "The model did not answer in time")

enum err_code {
#define X(code, status, name, shown, title) code,
    ERR_TABLE(X)
#undef X
    ERR_COUNT
};

struct err {
    enum err_code code;
    int  retry_after;   /* seconds to wait before a repeat, for Retry-After; 0 = not known */
    char field[64];     /* the faulty field of the input, or "" */
    char detail[400];   /* outermost caller first: "reading the request: user_text: too long" */
};

/* "No error yet": every struct err starts so. */
#define ERR_NONE ((struct err){ .code = ERR_OK })

/* Both return the code, so that a caller can write `return err_set(...)`.
 * e may be NULL where the caller wants only the code. */
enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "what: " before the detail; the code stays. Nothing happens on ERR_OK. */
enum err_code err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ERR_INVALID for one field of the input: detail is "field: why". */
enum err_code err_field(struct err *e, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int         err_status(enum err_code code);
const char *err_name(enum err_code code);
const char *err_title(enum err_code code);
/* What a client may read: the detail of a SHOWN code, else the title. Borrowed from e. */
const char *err_public_detail(const struct err *e);

#endif
