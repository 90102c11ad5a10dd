#include "jobrunner/google/credentials.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/json.h"

enum { FILE_MAX = 64 * 1024 };

#define TOKEN_URI "https://oauth2.googleapis.com/token"

/* One string of the file, copied. */
static enum err_code take(const json_t *file, const char *field, char **out, struct err *e)
{
    const char *s = json_str(file, field);

    if (!s || !*s)
        return err_set(e, ERR_INVALID, "it has no \"%s\"", field);
    if (!(*out = strdup(s)))
        return err_set(e, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

/* Keys in the wild have no passphrase; OpenSSL must not ask the terminal for one. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return 0;
}

static enum err_code take_key(const json_t *file, void **out, struct err *e)
{
    const char *pem = json_str(file, "private_key");

    if (!pem || !*pem)
        return err_set(e, ERR_INVALID, "it has no \"private_key\"");

    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

    BIO_free(bio);
    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        return err_set(e, ERR_INVALID, "its \"private_key\" is not an RSA key in PEM form");
    }
    *out = key;
    return ERR_OK;
}

static enum err_code service_account(const json_t *file, struct credentials *c, struct err *e)
{
    const char *key_id = json_str(file, "private_key_id");

    c->kind = CREDENTIALS_SERVICE_ACCOUNT;
    if (take(file, "client_email", &c->email, e) || take_key(file, &c->key, e))
        return e->code;
    if (!(c->key_id = strdup(key_id ? key_id : "")))
        return err_set(e, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

static enum err_code authorized_user(const json_t *file, struct credentials *c, struct err *e)
{
    c->kind = CREDENTIALS_AUTHORIZED_USER;
    if (take(file, "client_id", &c->client_id, e)
        || take(file, "client_secret", &c->client_secret, e)
        || take(file, "refresh_token", &c->refresh_token, e))
        return e->code;
    return ERR_OK;
}

static enum err_code token_uri(const json_t *file, char **out, struct err *e)
{
    const char *uri = json_str(file, "token_uri");

    if (!uri || !*uri)
        uri = TOKEN_URI;
    if (strncasecmp(uri, "https://", 8) != 0 && strncasecmp(uri, "http://", 7) != 0)
        return err_set(e, ERR_INVALID, "its \"token_uri\" is not an http URL");
    if (!(*out = strdup(uri)))
        return err_set(e, ERR_INTERNAL, "out of memory");
    return ERR_OK;
}

static enum err_code read_fields(const json_t *file, struct credentials *c, struct err *e)
{
    const char *type = json_str(file, "type");

    if (token_uri(file, &c->token_uri, e))
        return e->code;
    if (type && strcmp(type, "service_account") == 0)
        return service_account(file, c, e);
    if (type && strcmp(type, "authorized_user") == 0)
        return authorized_user(file, c, e);
    if (json_object_get(file, "installed") || json_object_get(file, "web"))
        return err_set(e, ERR_INVALID, "it is an OAuth client's file, not a user's: log in with it "
                       "(gcloud auth application-default login --client-id-file) and give the file "
                       "that this writes, or use a service account's key");
    return err_set(e, ERR_INVALID, "its \"type\" must be service_account or authorized_user");
}

enum err_code credentials_parse(const char *json, size_t len, struct credentials *c, struct err *e)
{
    json_t *file = NULL;
    struct err mine = ERR_NONE;
    enum err_code code;

    if (!e)
        e = &mine;
    memset(c, 0, sizeof(*c));
    if (json_parse(json, len, &file, NULL) != ERR_OK || !json_is_object(file))
        code = err_set(e, ERR_INVALID, "it is not one of Google's JSON files");
    else
        code = read_fields(file, c, e);
    json_decref(file);
    if (code)
        credentials_close(c);
    return code;
}

enum err_code credentials_read(const char *path, struct credentials *c, struct err *e)
{
    FILE *f = fopen(path, "re");

    memset(c, 0, sizeof(*c));
    if (!f)
        return err_set(e, ERR_INVALID, "cannot read the file: %s", strerror(errno));

    char *bytes = malloc(FILE_MAX);
    size_t len = bytes ? fread(bytes, 1, FILE_MAX, f) : 0;
    enum err_code code;

    if (!bytes)
        code = err_set(e, ERR_INTERNAL, "out of memory");
    else if (ferror(f))
        code = err_set(e, ERR_INVALID, "cannot read the file: %s", strerror(errno));
    else if (len == FILE_MAX)
        code = err_set(e, ERR_INVALID, "it is too large to be one of Google's JSON files");
    else
        code = credentials_parse(bytes, len, c, e);
    if (bytes)
        explicit_bzero(bytes, FILE_MAX);
    free(bytes);
    fclose(f);
    return code;
}

static void free_secret(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void credentials_close(struct credentials *c)
{
    free(c->token_uri);
    free(c->email);
    free(c->key_id);
    EVP_PKEY_free(c->key);
    free(c->client_id);
    free_secret(c->client_secret);
    free_secret(c->refresh_token);
    memset(c, 0, sizeof(*c));
}
