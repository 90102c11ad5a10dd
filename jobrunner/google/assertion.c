#include "jobrunner/google/assertion.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

/* Google refuses more than an hour between iat and exp, and clocks differ: a minute is
 * taken off either end. */
enum { CLOCK_SKEW = 60, LIFETIME = 3600 - CLOCK_SKEW };

static bool base64url(struct buf *out, const void *bytes, size_t len)
{
    size_t start = out->len;
    char *at = buf_reserve(out, 4 * ((len + 2) / 3));

    if (!at)
        return false;
    buf_grew(out, (size_t)EVP_EncodeBlock((unsigned char *)at, bytes, (int)len));
    while (out->len > start && out->data[out->len - 1] == '=')
        out->data[--out->len] = '\0';
    for (char *c = out->data + start; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return true;
}

static void member(struct buf *json, const char *name, const char *value)
{
    buf_addf(json, "%s\"%s\":", json->data[json->len - 1] == '{' ? "" : ",", name);
    text_json_string(json, value, strlen(value));
}

static bool add_header(struct buf *out, const struct credentials *c)
{
    struct buf json;

    buf_init(&json, 1024);
    buf_addc(&json, '{');
    member(&json, "alg", "RS256");
    member(&json, "typ", "JWT");
    if (c->key_id[0])
        member(&json, "kid", c->key_id);
    buf_addc(&json, '}');
    bool good = buf_ok(&json) && base64url(out, json.data, json.len);
    buf_close(&json);
    return good;
}

static bool add_claims(struct buf *out, const struct credentials *c, const char *scope,
                       const char *subject, int64_t now)
{
    struct buf json;

    buf_init(&json, 8192);
    buf_addc(&json, '{');
    member(&json, "iss", c->email);
    member(&json, "scope", scope);
    member(&json, "aud", c->token_uri);
    if (subject[0])
        member(&json, "sub", subject);
    buf_addf(&json, ",\"iat\":%lld,\"exp\":%lld}", (long long)(now - CLOCK_SKEW),
             (long long)(now - CLOCK_SKEW + LIFETIME));
    bool good = buf_ok(&json) && base64url(out, json.data, json.len);
    buf_close(&json);
    return good;
}

static bool add_signature(struct buf *out, EVP_PKEY *key, const char *input, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t size = (size_t)EVP_PKEY_get_size(key);
    unsigned char *signature = malloc(size);
    bool good = ctx && signature && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1
             && EVP_DigestSign(ctx, signature, &size, (const unsigned char *)input, len) == 1
             && base64url(out, signature, size);

    free(signature);
    EVP_MD_CTX_free(ctx);
    return good;
}

enum err_code assertion_sign(struct buf *out, const struct credentials *c, const char *scope,
                             const char *subject, int64_t now, struct err *e)
{
    struct buf jwt;
    bool good;

    buf_init(&jwt, 32 * 1024);
    good = add_header(&jwt, c) && buf_addc(&jwt, '.') && add_claims(&jwt, c, scope, subject, now);
    if (good) {
        size_t signed_len = jwt.len;
        char *input = strndup(jwt.data, signed_len);    /* jwt may move while it grows */

        good = input && buf_addc(&jwt, '.') && add_signature(&jwt, c->key, input, signed_len);
        free(input);
    }
    good = good && buf_add(out, jwt.data, jwt.len);
    buf_close(&jwt);
    return good ? ERR_OK : err_set(e, ERR_INTERNAL, "cannot sign with the service account's key");
}

static void form_field(struct buf *out, const char *name, const char *value)
{
    if (out->len)
        buf_addc(out, '&');
    buf_adds(out, name);
    buf_addc(out, '=');
    text_percent_encode(value, strlen(value), out);
}

enum err_code token_form(struct buf *out, const struct credentials *c, const char *scope,
                         const char *subject, int64_t now, struct err *e)
{
    if (c->kind == CREDENTIALS_SERVICE_ACCOUNT) {
        form_field(out, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        buf_adds(out, "&assertion=");   /* base64url needs no escapes */
        return assertion_sign(out, c, scope, subject, now, e);
    }
    form_field(out, "grant_type", "refresh_token");
    form_field(out, "client_id", c->client_id);
    form_field(out, "client_secret", c->client_secret);
    form_field(out, "refresh_token", c->refresh_token);
    return buf_ok(out) ? ERR_OK : err_set(e, ERR_INTERNAL, "out of memory");
}
