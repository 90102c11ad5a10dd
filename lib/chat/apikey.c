#include "lib/chat/apikey.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define HEX_DIGITS "0123456789abcdef"

static int64_t given_or(int64_t given, int64_t fallback)
{
    return given >= 0 ? given : fallback;
}

struct apikey *apikey_new(const struct apikey_spec *spec, const char *id,
                          const struct apikey_limits *fallback)
{
    const struct apikey_limits *l = &spec->limits;
    struct apikey *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->refs = 1;
    snprintf(k->id, sizeof(k->id), "%.*s", APIKEY_ID_SIZE - 1, id ? id : spec->hash);
    snprintf(k->tenant, sizeof(k->tenant), "%s", spec->tenant);
    snprintf(k->name, sizeof(k->name), "%s", spec->name);
    k->limits = (struct apikey_limits){
        .requests_per_minute = given_or(l->requests_per_minute, fallback->requests_per_minute),
        .in_flight = given_or(l->in_flight, fallback->in_flight),
        .tokens_per_day = given_or(l->tokens_per_day, fallback->tokens_per_day),
    };
    return k;
}

struct apikey *apikey_ref(struct apikey *k)
{
    k->refs++;
    return k;
}

void apikey_unref(struct apikey *k)
{
    if (k && --k->refs == 0)
        free(k);
}

void apikey_hash(const char *key, size_t len, char out[APIKEY_HASH_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)key, len, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void apikey_make(char out[APIKEY_SECRET_SIZE])
{
    strcpy(out, "ck_");
    text_random_hex(out + 3, 32);
}

enum err_code apikey_check_name(const char *what, const char *name, struct err *e)
{
    size_t len = strlen(name);

    if (len > 0 && len <= KEYS_TENANT_MAX && strspn(name, NAME_CHARS) == len)
        return ERR_OK;
    return err_set(e, ERR_INVALID, "%s: has to be 1 to %d letters, digits, '.', '_' or '-'", what,
                   KEYS_TENANT_MAX);
}

enum err_code apikey_set_limit(struct apikey_limits *l, const char *name, const char *value,
                               struct err *e)
{
    static const int64_t most = 1000000000000;
    char *end;
    long long n = strtoll(value, &end, 10);
    int64_t *field = NULL;

    if (strcmp(name, "rpm") == 0 || strcmp(name, "requests_per_minute") == 0)
        field = &l->requests_per_minute;
    else if (strcmp(name, "in_flight") == 0)
        field = &l->in_flight;
    else if (strcmp(name, "tokens_per_day") == 0)
        field = &l->tokens_per_day;
    if (!field)
        return err_set(e, ERR_INVALID, "%.40s: is no limit: there are rpm, in_flight, "
                       "tokens_per_day", name);
    if (*value < '0' || *value > '9' || *end || n > most)
        return err_set(e, ERR_INVALID, "%s: has to be a number, 0 for no limit", name);
    *field = n;
    return ERR_OK;
}

static enum err_code parse_owner(char *word, struct apikey_spec *out, struct err *e)
{
    char *name = strchr(word, ':');

    if (name)
        *name++ = '\0';
    if (apikey_check_name("tenant", word, e) != ERR_OK ||
        (name && apikey_check_name("name", name, e) != ERR_OK))
        return e->code;
    strcpy(out->tenant, word);
    strcpy(out->name, name ? name : "");
    return ERR_OK;
}

enum err_code apikey_parse(char *line, struct apikey_spec *out, struct err *e)
{
    static const char blanks[] = " \t\r\n";
    char *rest, *word = strtok_r(line, blanks, &rest);

    *out = (struct apikey_spec){ .limits = { -1, -1, -1 } };
    if (!word)
        return err_set(e, ERR_INVALID, "is empty");
    if (parse_owner(word, out, e) != ERR_OK)
        return e->code;
    word = strtok_r(NULL, blanks, &rest);
    if (!word || strlen(word) != APIKEY_HASH_SIZE - 1 || word[strspn(word, HEX_DIGITS)])
        return err_set(e, ERR_INVALID, "behind the tenant has to come the key's SHA-256, 64 hex "
                       "digits in lower case: printf %%s KEY | sha256sum");
    strcpy(out->hash, word);
    while ((word = strtok_r(NULL, blanks, &rest))) {
        char *value = strchr(word, '=');

        if (!value)
            return err_set(e, ERR_INVALID, "behind the hash come only limits, LIMIT=NUMBER");
        *value++ = '\0';
        if (apikey_set_limit(&out->limits, word, value, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}
