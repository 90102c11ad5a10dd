#ifndef CONFAB_GOOGLE_CREDENTIALS_H
#define CONFAB_GOOGLE_CREDENTIALS_H
/* The JSON files that Google hands out: the key of a service account, or the refresh token of a
 * user (gcloud's application_default_credentials.json). Neither is ever logged. */

#include <stddef.h>

#include "lib/base/err.h"

enum credentials_kind { CREDENTIALS_SERVICE_ACCOUNT, CREDENTIALS_AUTHORIZED_USER };

struct credentials {                /* all owned */
    enum credentials_kind kind;
    char *token_uri;
    char *email, *key_id;           /* of a service account; key_id may be "" */
    void *key;                      /* its private key, an EVP_PKEY */
    char *client_id, *client_secret, *refresh_token;    /* of a user */
};

/* ERR_INVALID says what is wrong with the file and what to do; detail holds nothing secret.
 * c is zeroed then. */
enum err_code credentials_read(const char *path, struct credentials *c, struct err *e);
enum err_code credentials_parse(const char *json, size_t len, struct credentials *c,
                                struct err *e);
void          credentials_close(struct credentials *c);     /* safe on a zeroed one */

#endif
