#ifndef CONFAB_TEXT_H
#define CONFAB_TEXT_H
/* Small questions about bytes and UTF-8 (RFC 3629: no surrogates, nothing overlong,
 * nothing above U+10FFFF). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

bool text_is_utf8(const char *s, size_t len);
/* How many bytes there are before the first that is not ASCII. */
size_t text_ascii_prefix(const char *s, size_t len);
/* Length of the longest prefix of s[0..len) that is whole, valid UTF-8. */
size_t text_utf8_prefix(const char *s, size_t len);
/* C0, DEL or C1 control characters in valid UTF-8. */
bool text_has_control(const char *s, size_t len);
/* Undoes %XX; '+' stays '+'. False on a broken escape. out may fail by its maximum. */
bool text_percent_decode(const char *s, size_t len, struct buf *out);
/* Escapes all but unreserved characters (RFC 3986, 2.3). */
bool text_percent_encode(const char *s, size_t len, struct buf *out);
/* How many bytes stand for themselves in a JSON string, before the first quote, backslash or
 * control character. */
size_t text_json_plain(const char *s, size_t len);
/* s as a JSON string, with its quotes (RFC 8259, 7); s must be UTF-8, which stays as it is. */
bool text_json_string(struct buf *out, const char *s, size_t len);
/* & < > " ' as entities. */
bool text_html(struct buf *out, const char *s, size_t len);
/* n in digits, and a '\0'. Returns their number. */
enum { TEXT_DECIMAL_SIZE = 21 };
size_t text_decimal(char out[TEXT_DECIMAL_SIZE], int64_t n);
bool text_add_decimal(struct buf *out, int64_t n);
/* Lower-case ASCII letters, digits and single '-' between them, never empty ("x" when
 * nothing is left): for file names. size: room in out, with the '\0', at least 2. */
void text_slug(const char *s, size_t len, char *out, size_t size);
/* n random bytes from the kernel as 2n hex digits and a '\0'. Aborts when the kernel
 * has no randomness to give. */
void text_random_hex(char *out, size_t n);
/* Lower-case hex of SHA-256 over the parts, each preceded by its length, so that
 * parts cannot run into each other. out: 65 bytes. */
struct text_part { const char *s; size_t len; };
void text_sha256_hex(char *out, const struct text_part *parts, size_t count);
/* The same bytes in time that does not depend on where they differ. */
bool text_equal_secret(const char *a, size_t alen, const char *b, size_t blen);

#endif
