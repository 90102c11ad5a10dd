#ifndef CONFAB_APIKEY_H
#define CONFAB_APIKEY_H
/* A key that callers send as Authorization: Bearer: whose it is, and how much it may ask.
 *
 * Only the SHA-256 of a key is kept anywhere, in hex, as `printf %s KEY | sha256sum` gives it. A key
 * made here has 256 random bits, so its plain hash cannot be turned back. Keys are looked up by
 * that hash: what the time of a look-up tells is about the hash, never about the key. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/chat/keys.h"

enum {
    APIKEY_HASH_SIZE = 65,          /* SHA-256 in hex, with the '\0' */
    APIKEY_ID_SIZE = 17,            /* the hash's first digits: names a key without telling it */
    APIKEY_NAME_MAX = 64,
    APIKEY_SECRET_SIZE = 3 + 64 + 1,
};

struct apikey_limits {
    int64_t requests_per_minute, in_flight, tokens_per_day;     /* 0 = none, -1 = not said */
};

/* What is known of a key, in the file, in Redis, on the command line. */
struct apikey_spec {
    char hash[APIKEY_HASH_SIZE];
    char tenant[KEYS_TENANT_MAX + 1];
    char name[APIKEY_NAME_MAX + 1];
    struct apikey_limits limits;
};

/* The same in use, counted: requests under way hold it when it is long revoked. Unchanging but
 * for book, which is the quota's. */
struct quota_book;
struct apikey {
    unsigned    refs;
    char        id[APIKEY_ID_SIZE];
    char        tenant[KEYS_TENANT_MAX + 1];
    char        name[APIKEY_NAME_MAX + 1];
    struct apikey_limits limits;    /* none of them -1 */
    struct quota_book *book;        /* NULL: nothing open */
};

/* id NULL: from the hash. Where the spec says no limit, that of fallback holds. The caller's one
 * reference; NULL: out of memory. */
struct apikey *apikey_new(const struct apikey_spec *spec, const char *id,
                          const struct apikey_limits *fallback);
struct apikey *apikey_ref(struct apikey *k);
void           apikey_unref(struct apikey *k);      /* NULL: nothing */

void apikey_hash(const char *key, size_t len, char out[APIKEY_HASH_SIZE]);
/* A new key: "ck_" and 64 hex digits. */
void apikey_make(char out[APIKEY_SECRET_SIZE]);

/* 1 to 64 letters, digits, '.', '_', '-'. what: "tenant", for the error. */
enum err_code apikey_check_name(const char *what, const char *name, struct err *e);
/* A limit as it is written, by its name: "requests_per_minute" (or "rpm"), "in_flight",
 * "tokens_per_day"; 0 = none. */
enum err_code apikey_set_limit(struct apikey_limits *l, const char *name, const char *value,
                               struct err *e);
/* A line of API_KEYS_FILE: TENANT[:NAME] HASH [LIMIT=NUMBER]... Changes line. */
enum err_code apikey_parse(char *line, struct apikey_spec *out, struct err *e);

#endif
