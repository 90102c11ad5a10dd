#ifndef CONFAB_APIKEYS_FILE_H
#define CONFAB_APIKEYS_FILE_H
/* The keys that the settings give: API_KEY, and one a line of API_KEYS_FILE:
 *
 *   # tenant[:name]   SHA-256 of the key, in hex       limits, or those of the section [limits]
 *   acme:website      9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 rpm=60
 */

#include "lib/chat/apikey.h"

struct apikeys_entry {
    char           hash[APIKEY_HASH_SIZE];
    struct apikey *key;
};
struct apikeys_file { struct apikeys_entry *entries; size_t count; };      /* sorted by hash */

/* path and api_key may be "". ERR_INVALID names the setting and the line. f is zeroed before, and to
 * be closed in any case. */
enum err_code apikeys_file_read(struct apikeys_file *f, const char *path, const char *api_key,
                                const struct apikey_limits *fallback, struct err *e);
void apikeys_file_close(struct apikeys_file *f);
/* Borrowed; NULL: none has this hash. */
struct apikey *apikeys_file_find(const struct apikeys_file *f, const char *hash);

#endif
