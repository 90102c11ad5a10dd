/* Credentials and what is sent for a token. */
#include <check.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobrunner/google/assertion.h"
#include "jobrunner/google/credentials.h"
#include "tests/unit/support.h"

static struct credentials c;
static struct err e;
static struct buf out;
static EVP_PKEY *key;
static char *pem;

static char *pem_of(EVP_PKEY *of)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes, *copy;
    long len;

    PEM_write_bio_PKCS8PrivateKey(bio, of, NULL, NULL, 0, NULL, NULL);
    len = BIO_get_mem_data(bio, &bytes);
    copy = strndup(bytes, (size_t)len);
    BIO_free(bio);
    return copy;
}

static void make_key(void)
{
    key = EVP_RSA_gen(2048);
    pem = pem_of(key);
}

static void drop_key(void)
{
    EVP_PKEY_free(key);
    free(pem);
}

static void setup(void)
{
    e = ERR_NONE;
    buf_init(&out, 64 * 1024);
}

static void teardown(void)
{
    credentials_close(&c);
    buf_close(&out);
}

/* A service account's file; without: a field to leave out, or NULL. */
static enum err_code service_account(const char *private_key, const char *without)
{
    json_t *file = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "type", "service_account",
                             "client_email", "writer@p.iam.gserviceaccount.com",
                             "private_key_id", "k1", "private_key", private_key,
                             "token_uri", "https://oauth2.example/token",
                             "universe_domain", "googleapis.com");
    enum err_code code;

    if (without)
        json_object_del(file, without);
    char *text = json_dumps(file, 0);
    code = credentials_parse(text, strlen(text), &c, &e);
    free(text);
    json_decref(file);
    return code;
}

static const char user[] =
    "{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"a&b=c\","
    "\"refresh_token\":\"1//x+y\",\"quota_project_id\":\"p\"}";

START_TEST(a_service_accounts_file_is_read)
{
    ck_assert_int_eq(service_account(pem, NULL), ERR_OK);
    ck_assert_int_eq(c.kind, CREDENTIALS_SERVICE_ACCOUNT);
    ck_assert_str_eq(c.email, "writer@p.iam.gserviceaccount.com");
    ck_assert_str_eq(c.token_uri, "https://oauth2.example/token");
    ck_assert_str_eq(c.key_id, "k1");
}
END_TEST

START_TEST(a_users_file_is_read)
{
    ck_assert_int_eq(credentials_parse(user, strlen(user), &c, &e), ERR_OK);
    ck_assert_int_eq(c.kind, CREDENTIALS_AUTHORIZED_USER);
    ck_assert_str_eq(c.token_uri, "https://oauth2.googleapis.com/token");
}
END_TEST

static const char *const needed[] = { "client_email", "private_key", "type" };

START_TEST(a_missing_field_is_named)
{
    ck_assert_int_eq(service_account(pem, needed[_i]), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(e.detail, needed[_i]));
    ck_assert_ptr_null(c.email);
}
END_TEST

static const char *const broken[] = {
    "", "{", "[]", "\"x\"", "{}", "{\"type\":1}", "{\"type\":\"other\"}",
    "{\"installed\":{\"client_id\":\"x\"}}", "{\"type\":\"authorized_user\",\"client_id\":\"x\"}",
    "{\"type\":\"authorized_user\",\"token_uri\":\"file:///etc/passwd\"}",
    "{\"type\":\"authorized_user\"} x",
};

START_TEST(a_file_that_is_not_googles_is_refused)
{
    ck_assert_int_eq(credentials_parse(broken[_i], strlen(broken[_i]), &c, &e), ERR_INVALID);
    ck_assert_str_ne(e.detail, "");
}
END_TEST

START_TEST(a_key_that_is_none_is_refused_and_not_repeated)
{
    const char *secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

    ck_assert_int_eq(service_account(secret, NULL), ERR_INVALID);
    ck_assert_ptr_null(strstr(e.detail, "c2VjcmV0"));
    ck_assert_int_eq(service_account("nonsense", NULL), ERR_INVALID);
}
END_TEST

START_TEST(a_key_of_another_kind_is_refused)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    char *text = pem_of(ec);

    ck_assert_int_eq(service_account(text, NULL), ERR_INVALID);
    free(text);
    EVP_PKEY_free(ec);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_says_why)
{
    ck_assert_int_eq(credentials_read("/nonexistent/x.json", &c, &e), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(e.detail, "No such file"));
    ck_assert_int_eq(credentials_read("/", &c, &e), ERR_INVALID);
    ck_assert_int_eq(credentials_read("/dev/zero", &c, &e), ERR_INVALID);
}
END_TEST

static size_t decode(const char *s, size_t len, unsigned char *bytes, size_t size)
{
    char padded[8192];
    size_t n = 0;

    ck_assert_uint_lt(len + 4, sizeof(padded));
    for (size_t i = 0; i < len; i++) {
        ck_assert_msg(strchr("+/=\n", s[i]) == NULL, "not base64url");
        padded[n++] = s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i];
    }
    size_t pad = (4 - n % 4) % 4;
    for (size_t i = 0; i < pad; i++)
        padded[n++] = '=';
    ck_assert_uint_lt(n, size);
    return (size_t)EVP_DecodeBlock(bytes, (unsigned char *)padded, (int)n) - pad;
}

static json_t *part(const char *s, size_t len)
{
    unsigned char bytes[8192];
    size_t n = decode(s, len, bytes, sizeof(bytes));
    json_t *json = json_loadb((char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);

    ck_assert_ptr_nonnull(json);
    return json;
}

static void verify(const char *jwt, size_t signed_len, const char *signature, size_t len)
{
    unsigned char bytes[1024];
    size_t n = decode(signature, len, bytes, sizeof(bytes));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    ck_assert_int_eq(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    ck_assert_int_eq(EVP_DigestVerify(ctx, bytes, n, (const unsigned char *)jwt, signed_len), 1);
    EVP_MD_CTX_free(ctx);
}

static const char *const subjects[] = { "", "person@example.com" };

START_TEST(the_assertion_has_the_claims_that_google_wants_and_a_good_signature)
{
    ck_assert_int_eq(service_account(pem, NULL), ERR_OK);
    ck_assert_int_eq(assertion_sign(&out, &c, "scope-a scope-b", subjects[_i], 1772357400, &e),
                     ERR_OK);

    char *dot = strchr(out.data, '.'), *second = strchr(dot + 1, '.');
    json_t *header = part(out.data, (size_t)(dot - out.data));
    json_t *claims = part(dot + 1, (size_t)(second - dot - 1));
    const char *sub = json_string_value(json_object_get(claims, "sub"));
    json_int_t iat = json_integer_value(json_object_get(claims, "iat"));
    json_int_t exp = json_integer_value(json_object_get(claims, "exp"));

    ck_assert_str_eq(json_string_value(json_object_get(header, "alg")), "RS256");
    ck_assert_str_eq(json_string_value(json_object_get(header, "typ")), "JWT");
    ck_assert_str_eq(json_string_value(json_object_get(header, "kid")), "k1");
    ck_assert_str_eq(json_string_value(json_object_get(claims, "iss")), c.email);
    ck_assert_str_eq(json_string_value(json_object_get(claims, "aud")), c.token_uri);
    ck_assert_str_eq(json_string_value(json_object_get(claims, "scope")), "scope-a scope-b");
    ck_assert_str_eq(sub ? sub : "", subjects[_i]);
    ck_assert_int_le(iat, 1772357400);
    ck_assert_int_gt(exp, 1772357400 + 1800);
    ck_assert_int_le(exp - iat, 3600);
    verify(out.data, (size_t)(second - out.data), second + 1, strlen(second + 1));
    json_decref(header);
    json_decref(claims);
}
END_TEST

START_TEST(a_service_account_asks_with_an_assertion)
{
    const char *start = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
                        "&assertion=ey";

    ck_assert_int_eq(service_account(pem, NULL), ERR_OK);
    ck_assert_int_eq(token_form(&out, &c, "s", "", 1772357400, &e), ERR_OK);
    ck_assert_int_eq(strncmp(out.data, start, strlen(start)), 0);
}
END_TEST

START_TEST(a_user_asks_with_the_refresh_token)
{
    ck_assert_int_eq(credentials_parse(user, strlen(user), &c, &e), ERR_OK);
    ck_assert_int_eq(token_form(&out, &c, "s", "", 1772357400, &e), ERR_OK);
    ck_assert_str_eq(out.data, "grant_type=refresh_token&client_id=id&client_secret=a%26b%3Dc"
                               "&refresh_token=1%2F%2Fx%2By");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("google_token");
    TCase *t = tcase_create("credentials");

#define COUNT(table) (sizeof(table) / sizeof(*(table)))
    tcase_add_unchecked_fixture(t, make_key, drop_key);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, a_service_accounts_file_is_read);
    tcase_add_test(t, a_users_file_is_read);
    tcase_add_loop_test(t, a_missing_field_is_named, 0, COUNT(needed));
    tcase_add_loop_test(t, a_file_that_is_not_googles_is_refused, 0, COUNT(broken));
    tcase_add_test(t, a_key_that_is_none_is_refused_and_not_repeated);
    tcase_add_test(t, a_key_of_another_kind_is_refused);
    tcase_add_test(t, a_file_that_cannot_be_read_says_why);
    tcase_add_loop_test(t, the_assertion_has_the_claims_that_google_wants_and_a_good_signature, 0,
                        COUNT(subjects));
    tcase_add_test(t, a_service_account_asks_with_an_assertion);
    tcase_add_test(t, a_user_asks_with_the_refresh_token);
    suite_add_tcase(s, t);
    return support_run(s);
}
