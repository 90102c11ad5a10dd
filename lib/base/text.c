#include "lib/base/text.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

/* Most text is plain: eight bytes of it are looked at together. */
static const uint64_t each = 0x0101010101010101, tops = 0x8080808080808080;

static uint64_t eight(const char *s)
{
    uint64_t bytes;

    memcpy(&bytes, s, sizeof(bytes));
    return bytes;
}

size_t text_ascii_prefix(const char *s, size_t len)
{
    size_t n = 0;

    while (len - n >= 8 && !(eight(s + n) & tops))
        n += 8;
    while (n < len && (unsigned char)s[n] < 0x80)
        n++;
    return n;
}

/* Bytes of the valid character at s, 0 when there is none (or not yet all of it). */
static size_t utf8_char(const unsigned char *s, size_t len)
{
    unsigned char lead = s[0], low = 0x80, high = 0xBF;
    size_t n;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        n = 2;
    else if (lead >= 0xE0 && lead <= 0xEF)
        n = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        n = 4;
    else
        return 0;
    /* The second byte's range is narrower where the lead allows overlong forms,
     * surrogates or more than U+10FFFF. */
    switch (lead) {
    case 0xE0: low = 0xA0; break;
    case 0xED: high = 0x9F; break;
    case 0xF0: low = 0x90; break;
    case 0xF4: high = 0x8F; break;
    default: break;
    }
    if (n > len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    }
    return n;
}

size_t text_utf8_prefix(const char *s, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)s;
    size_t at = 0;

    while (at < len) {
        size_t n = bytes[at] < 0x80 ? text_ascii_prefix(s + at, len - at)
                                    : utf8_char(bytes + at, len - at);

        if (n == 0)
            break;
        at += n;
    }
    return at;
}

bool text_is_utf8(const char *s, size_t len)
{
    return text_utf8_prefix(s, len) == len;
}

bool text_has_control(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20 || c == 0x7F)
            return true;
        /* C1 is U+0080 to U+009F: C2 80 to C2 9F. C2 is never a later byte of a character. */
        if (c == 0xC2 && i + 1 < len && (unsigned char)s[i + 1] <= 0x9F)
            return true;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool text_percent_decode(const char *s, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (s[i] != '%') {
            buf_addc(out, s[i]);
            continue;
        }
        if (len - i < 3)
            return false;
        high = hex_digit(s[i + 1]);
        low = hex_digit(s[i + 2]);
        if (high < 0 || low < 0)
            return false;
        buf_addc(out, (char)(high * 16 + low));
        i += 2;
    }
    return buf_ok(out);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

bool text_percent_encode(const char *s, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (is_unreserved(s[i]))
            buf_addc(out, s[i]);
        else
            buf_addf(out, "%%%02X", (unsigned char)s[i]);
    }
    return buf_ok(out);
}

/* What a character needs instead of itself, or NULL. scratch: 8 bytes. */
typedef const char *escape_fn(char c, char *scratch);

/* Copies in runs: most text needs no escape at all. */
static bool add_escaped(struct buf *out, const char *s, size_t len, escape_fn *escape)
{
    size_t run = 0;

    for (size_t i = 0; i < len; i++) {
        char scratch[8];
        const char *instead = escape(s[i], scratch);

        if (!instead)
            continue;
        buf_add(out, s + run, i - run);
        buf_adds(out, instead);
        run = i + 1;
    }
    return buf_add(out, s + run, len - run);
}

static bool is_json_plain(char c)
{
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

/* The top bits of those that are not plain; behind the first of them it may have others. Where a
 * byte below 0x80 is less than what is taken from it, its top bit comes up, and that may carry on
 * to the byte after it, but never from nowhere. */
static uint64_t eight_not_plain(uint64_t bytes)
{
    uint64_t quotes = bytes ^ each * '"', slashes = bytes ^ each * '\\';

    return ((bytes - each * 0x20) | (quotes - each) | (slashes - each)) & ~bytes & tops;
}

size_t text_json_plain(const char *s, size_t len)
{
    size_t n = 0;

    for (; len - n >= 8; n += 8) {
        uint64_t found = eight_not_plain(le64toh(eight(s + n)));

        if (found)
            return n + (size_t)__builtin_ctzll(found) / 8;
    }
    while (n < len && is_json_plain(s[n]))
        n++;
    return n;
}

static const char *json_escape(char c, char *scratch)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)c;

    switch (c) {
    case '"':  return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: break;
    }
    memcpy(scratch, "\\u00", 4);
    scratch[4] = digits[byte >> 4];
    scratch[5] = digits[byte & 15];
    scratch[6] = '\0';
    return scratch;
}

bool text_json_string(struct buf *out, const char *s, size_t len)
{
    size_t plain = text_json_plain(s, len);

    buf_addc(out, '"');
    for (; plain < len; plain = text_json_plain(s, len)) {
        char scratch[8];

        buf_add(out, s, plain);
        buf_adds(out, json_escape(s[plain], scratch));
        s += plain + 1;
        len -= plain + 1;
    }
    buf_add(out, s, len);
    return buf_addc(out, '"');
}

size_t text_decimal(char out[TEXT_DECIMAL_SIZE], int64_t n)
{
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    char digits[TEXT_DECIMAL_SIZE], *at = digits + sizeof(digits);
    size_t len;

    *--at = '\0';
    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (n < 0)
        *--at = '-';
    len = (size_t)(digits + sizeof(digits) - at) - 1;
    memcpy(out, at, len + 1);
    return len;
}

bool text_add_decimal(struct buf *out, int64_t n)
{
    char digits[TEXT_DECIMAL_SIZE];

    return buf_add(out, digits, text_decimal(digits, n));
}

static const char *html_escape(char c, char *scratch)
{
    (void)scratch;
    switch (c) {
    case '&':  return "&amp;";
    case '<':  return "&lt;";
    case '>':  return "&gt;";
    case '"':  return "&quot;";
    case '\'': return "&#39;";
    default:   return NULL;
    }
}

bool text_html(struct buf *out, const char *s, size_t len)
{
    return add_escaped(out, s, len, html_escape);
}

void text_slug(const char *s, size_t len, char *out, size_t size)
{
    size_t n = 0;
    bool gap = false;

    for (size_t i = 0; i < len; i++) {
        char c = s[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
            gap = n > 0; /* none at the start; at the end it is never written */
            continue;
        }
        if (n + gap + 1 >= size)
            break;
        if (gap)
            out[n++] = '-';
        out[n++] = c;
        gap = false;
    }
    if (n == 0)
        out[n++] = 'x';
    out[n] = '\0';
}

static void to_hex(char *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

void text_random_hex(char *out, size_t n)
{
    unsigned char bytes[256]; /* the kernel never gives fewer than asked, up to 256 */

    *out = '\0';
    while (n > 0) {
        size_t piece = n < sizeof(bytes) ? n : sizeof(bytes);

        if (getrandom(bytes, piece, 0) != (ssize_t)piece) {
            if (errno == EINTR) /* only while the machine boots */
                continue;
            abort();
        }
        to_hex(out, bytes, piece);
        out += 2 * piece;
        n -= piece;
    }
}

enum { SHA256_SIZE = 32 };

/* SHA-256 fails only when memory is out: there is nothing sensible to go on with. */
static void sha256(unsigned char out[SHA256_SIZE], const struct text_part *parts, size_t count)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

    for (size_t i = 0; ok && i < count; i++) {
        unsigned char length[8];

        for (int byte = 0; byte < 8; byte++)
            length[byte] = (unsigned char)((uint64_t)parts[i].len >> (56 - 8 * byte));
        ok = EVP_DigestUpdate(ctx, length, sizeof(length)) &&
             EVP_DigestUpdate(ctx, parts[i].s, parts[i].len);
    }
    if (!ok || !EVP_DigestFinal_ex(ctx, out, NULL))
        abort();
    EVP_MD_CTX_free(ctx);
}

void text_sha256_hex(char *out, const struct text_part *parts, size_t count)
{
    unsigned char digest[SHA256_SIZE];

    sha256(digest, parts, count);
    to_hex(out, digest, sizeof(digest));
}

bool text_equal_secret(const char *a, size_t alen, const char *b, size_t blen)
{
    unsigned char da[SHA256_SIZE], db[SHA256_SIZE];

    /* Digests are of one length, so not even the length of the secret shows. */
    sha256(da, &(struct text_part){ a, alen }, 1);
    sha256(db, &(struct text_part){ b, blen }, 1);
    return CRYPTO_memcmp(da, db, sizeof(da)) == 0;
}
