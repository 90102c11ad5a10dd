#ifndef CONFAB_JSON_H
#define CONFAB_JSON_H
/* Reading JSON strictly (RFC 8259): jansson with duplicate keys, trailing text, bad
 * UTF-8 and deep nesting refused. Writing is done with text_json_string into a buf. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* ERR_BAD_JSON with line and column, but never with a word of the text, or the tree in *out,
 * which is the caller's (json_decref). "" is not JSON. The top may be any value. A lone
 * surrogate, which can only be written as an escape, is read as U+0000. */
enum err_code json_parse(const char *text, size_t len, json_t **out, struct err *e);

/* Fields of an object of the input. The value is borrowed from obj. A fault is
 * ERR_INVALID and names the field. min and max count bytes. A string with U+0000
 * is refused. */
struct json_text { const char *s; size_t len; };
enum err_code json_get_text(const json_t *obj, const char *field, size_t min, size_t max,
                            struct json_text *out, struct err *e);
/* The same where the field may be absent or null: then out->s is NULL. */
enum err_code json_get_text_opt(const json_t *obj, const char *field, size_t min, size_t max,
                                struct json_text *out, struct err *e);
/* Absent or null: *out is left alone. */
enum err_code json_get_bool_opt(const json_t *obj, const char *field, bool *out, struct err *e);

/* Lenient readers for what upstreams send: NULL or dflt when absent, of another type, or
 * (json_str) with U+0000 in it. */
const char *json_str(const json_t *obj, const char *field);
int64_t     json_int(const json_t *obj, const char *field, int64_t dflt);

#endif
