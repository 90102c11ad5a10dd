#include "jobrunner/google/google_error.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"

/* --- what an answer says --- */

struct words {
    char reason[80];        /* errors[0].reason, else the status word, or "" */
    char message[240];      /* Google's words, ids masked */
};

/* Copies; what looks like an id, a key or a token is left out. */
static void copy_masked(char *out, size_t size, const char *s)
{
    enum { LONGEST_WORD = 24 };
    size_t n = 0;

    while (*s && n + 8 < size) {
        size_t word = 0;

        while (isalnum((unsigned char)s[word]) || s[word] == '-' || s[word] == '_')
            word++;
        if (word > LONGEST_WORD) {
            memcpy(out + n, "...", 3);
            n += 3;
            s += word;
        } else if (word) {
            size_t fits = word < size - n - 8 ? word : size - n - 8;
            memcpy(out + n, s, fits);
            n += fits;
            s += word;
        } else
            out[n++] = *s++;
    }
    out[n] = '\0';
}

static void copy(char *out, size_t size, const char *s)
{
    snprintf(out, size, "%s", s ? s : "");
}

static void read_drive_words(const struct exchange_reply *r, struct words *w)
{
    json_t *top = NULL;

    memset(w, 0, sizeof(*w));
    if (json_parse(r->body, r->body_len, &top, NULL) != ERR_OK)
        return;

    const json_t *error = json_object_get(top, "error");
    const json_t *first = json_array_get(json_object_get(error, "errors"), 0);
    const char *reason = json_str(first, "reason"), *message = json_str(error, "message");

    copy(w->reason, sizeof(w->reason), reason ? reason : json_str(error, "status"));
    copy_masked(w->message, sizeof(w->message), message ? message : "");
    json_decref(top);
}

/* --- Drive --- */

struct rule { const char *reason; enum store_verdict verdict; const char *advice; };

#define ROLE_ADVICE "the account's role is too low for the folder: on the shared drive it needs " \
                    "Content manager (fileOrganizer), which may move and trash; " \
                    "Contributor (writer) may not"
#define SCOPE_ADVICE "the token's scope does not allow this: set google.scope (GOOGLE_SCOPE) to " \
                     "https://www.googleapis.com/auth/drive"
#define STORAGE_ADVICE "the account that writes has no storage left, and a service account never " \
                       "has any: put the dialogs folder on a shared drive with the service " \
                       "account as Content manager, or set google.subject to a user for whom it " \
                       "may act"
#define FULL_ADVICE "Google's limit of files in this folder, drive or account is reached: " \
                    "clear it, or name another folder in google.folder_id (GOOGLE_DRIVE_FOLDER_ID)"

static const struct rule rules[] = {
    { "userRateLimitExceeded",     STORE_LIMITED, "Google's rate limit is reached" },
    { "rateLimitExceeded",         STORE_LIMITED, "Google's rate limit is reached" },
    { "sharingRateLimitExceeded",  STORE_LIMITED, "Google's rate limit is reached" },
    { "dailyLimitExceeded",        STORE_LIMITED, "Google's daily limit is reached" },
    { "RESOURCE_EXHAUSTED",        STORE_LIMITED, "Google's rate limit is reached" },
    { "storageQuotaExceeded",      STORE_MISCONFIGURED, STORAGE_ADVICE },
    { "quotaExceeded",             STORE_MISCONFIGURED, STORAGE_ADVICE },
    { "insufficientFilePermissions", STORE_MISCONFIGURED, ROLE_ADVICE },
    { "insufficientPermissions",   STORE_MISCONFIGURED, SCOPE_ADVICE },
    { "appNotAuthorizedToFile",    STORE_MISCONFIGURED,
      "with the scope drive.file only what confab made itself can be written: set google.scope "
      "(GOOGLE_SCOPE) to https://www.googleapis.com/auth/drive" },
    { "accessNotConfigured",       STORE_MISCONFIGURED,
      "enable the Google Drive API in the Google Cloud project of the credentials" },
    { "SERVICE_DISABLED",          STORE_MISCONFIGURED,
      "enable the Google Drive API in the Google Cloud project of the credentials" },
    { "domainPolicy",              STORE_MISCONFIGURED,
      "the Workspace administrator has disabled Drive apps: have this one allowed" },
    { "teamDriveFileLimitExceeded",        STORE_MISCONFIGURED, FULL_ADVICE },
    { "numChildrenInNonRootLimitExceeded", STORE_MISCONFIGURED, FULL_ADVICE },
    { "activeItemCreationLimitExceeded",   STORE_MISCONFIGURED, FULL_ADVICE },
};

static const struct rule *rule_find(const char *reason)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        if (strcmp(rules[i].reason, reason) == 0)
            return &rules[i];
    return NULL;
}

static enum store_verdict fault(const struct exchange_reply *r, const char *whom, struct err *e)
{
    err_set(e, r->fault->code == ERR_UPSTREAM_SLOW ? ERR_UPSTREAM_SLOW : ERR_UPSTREAM,
            "%s: %s", whom, r->fault->detail);
    return STORE_AWAY;
}

/* What the status alone says, for reasons that are not in the table. */
static enum store_verdict by_status(int status, struct err *e, const struct words *w)
{
    const char *said = w->message[0] ? w->message : "no words";
    const char *reason = w->reason[0] ? w->reason : "no reason";

    if (status >= 500 || status == 408) {
        err_set(e, ERR_UPSTREAM, "Google Drive answered %d (%s)", status, reason);
        return STORE_AWAY;
    }
    switch (status) {
    case 429:
        err_set(e, ERR_UPSTREAM_BUSY, "Google's rate limit is reached (429, %s)", reason);
        return STORE_LIMITED;
    case 403:
        err_set(e, ERR_UPSTREAM_REFUSED, "Google Drive refuses (403, %s): %s", reason, said);
        return STORE_MISCONFIGURED;
    case 404:
        err_set(e, ERR_UPSTREAM_REFUSED, "Google Drive does not find the folder: check "
                "google.folder_id (GOOGLE_DRIVE_FOLDER_ID), and that the folder's shared drive has "
                "the account as a member with the role Content manager");
        return STORE_MISCONFIGURED;
    case 401:
        err_set(e, ERR_UPSTREAM_REFUSED, "Google Drive refuses the token (401, %s)", reason);
        return STORE_TRY_AGAIN;
    case 413:
        err_set(e, ERR_UPSTREAM_REFUSED, "the dialog is too large for a Google Doc");
        return STORE_IMPOSSIBLE;
    case 400:
        err_set(e, ERR_UPSTREAM_REFUSED, "Google Drive says that the request is wrong "
                "(400, %s): %s", reason, said);
        return STORE_IMPOSSIBLE;
    default:
        err_set(e, ERR_UPSTREAM, "Google Drive answered %d (%s): %s", status, reason, said);
        return STORE_TRY_AGAIN;
    }
}

enum store_verdict google_error_drive(const struct exchange_reply *r, struct err *e)
{
    struct words w;
    enum store_verdict verdict;

    if (r->fault)
        return fault(r, "Google Drive", e);
    read_drive_words(r, &w);

    const struct rule *rule = r->status == 403 || r->status == 429 ? rule_find(w.reason) : NULL;

    if (!rule)
        verdict = by_status(r->status, e, &w);
    else {
        err_set(e, rule->verdict == STORE_LIMITED ? ERR_UPSTREAM_BUSY : ERR_UPSTREAM_REFUSED,
                "%s (%d %s)", rule->advice, r->status, rule->reason);
        verdict = rule->verdict;
    }
    e->retry_after = r->retry_after;
    return verdict;
}

bool google_error_names(const struct exchange_reply *r, const char *id)
{
    return id[0] && memmem(r->body, r->body_len, id, strlen(id));
}

/* --- the token endpoint --- */

struct token_rule { const char *error, *in_description, *advice; };

/* The first row that fits counts. */
static const struct token_rule token_rules[] = {
    { "invalid_grant", "short-lived", "this machine's clock is wrong: set it (NTP)" },
    { "invalid_grant", "timeframe", "this machine's clock is wrong: set it (NTP)" },
    { "invalid_grant", "Signature", "the service account's key was deleted or has expired: make "
      "a new one and put its file at google.credentials (GOOGLE_APPLICATION_CREDENTIALS)" },
    { "invalid_grant", "email", "Google does not know the service account or google.subject: "
      "check the key file and the subject's e-mail address" },
    { "invalid_grant", "account not found", "the service account was deleted: make a new one" },
    { "invalid_grant", "", "Google no longer accepts these credentials (revoked or expired): log "
      "in again or make a new key, and replace the file at google.credentials "
      "(GOOGLE_APPLICATION_CREDENTIALS)" },
    { "invalid_scope", "", "google.scope (GOOGLE_SCOPE) is not valid: scopes are URLs, separated "
      "by spaces" },
    { "unauthorized_client", "", "domain-wide delegation is not set up for this client id and "
      "google.scope: the Workspace administrator grants it (it may take a day to spread), "
      "or leave google.subject empty" },
    { "access_denied", "", "access was denied by the user or the Workspace's policy" },
    { "admin_policy_enforced", "", "the Workspace administrator's policy forbids these scopes" },
    { "org_internal", "", "the OAuth client is for members of its own organisation only" },
    { "disabled_client", "", "the OAuth client or service account is disabled: enable it" },
    { "deleted_client", "", "the OAuth client was deleted: make a new one" },
    { "invalid_client", "", "Google does not know the OAuth client, or its secret is wrong: check "
      "the file at google.credentials (GOOGLE_APPLICATION_CREDENTIALS)" },
};

static const char *token_advice(const char *error, const char *description)
{
    for (size_t i = 0; i < sizeof(token_rules) / sizeof(*token_rules); i++)
        if (strcmp(token_rules[i].error, error) == 0
            && strcasestr(description, token_rules[i].in_description))
            return token_rules[i].advice;
    return NULL;
}

enum store_verdict google_error_token(const struct exchange_reply *r, struct err *e)
{
    char error[80] = "", description[240] = "";
    json_t *top = NULL;

    if (r->fault)
        return fault(r, "Google's token endpoint", e);
    if (json_parse(r->body, r->body_len, &top, NULL) == ERR_OK) {
        const char *said = json_str(top, "error_description");

        copy(error, sizeof(error), json_str(top, "error"));
        copy_masked(description, sizeof(description), said ? said : "");
        json_decref(top);
    }

    const char *advice = token_advice(error, description);

    if (r->status == 429) {
        err_set(e, ERR_UPSTREAM_BUSY, "Google's token endpoint is busy (429)");
        e->retry_after = r->retry_after;
        return STORE_LIMITED;
    }
    if (r->status >= 500 || r->status == 408) {
        err_set(e, ERR_UPSTREAM, "Google's token endpoint answered %d", r->status);
        e->retry_after = r->retry_after;
        return STORE_AWAY;
    }
    if (advice)
        err_set(e, ERR_UPSTREAM_REFUSED, "%s (%s: %s)", advice, error, description);
    else
        err_set(e, ERR_UPSTREAM_REFUSED, "Google gives no token for the credentials at "
                "google.credentials (GOOGLE_APPLICATION_CREDENTIALS): %d %s %s", r->status,
                error, description);
    return STORE_MISCONFIGURED;
}
