/* Do the credentials give a token, and do they show the dialogs folder? */

#include <stdio.h>
#include <string.h>

#include "confabctl/check.h"
#include "jobrunner/google/call.h"
#include "lib/base/json.h"

enum { CONNECT_TIMEOUT_MS = 5000 };

static void on_folder(void *arg, const struct google_result *r)
{
    struct check *k = arg;
    const struct settings *s = &k->ctl->settings;
    const char *drive = json_str(r->json, "driveId");

    if (r->reply && r->reply->status == 404)
        check_fault(k, "google", "Google does not show the folder %s: check GOOGLE_DRIVE_FOLDER_ID, "
                    "and make the account a Content manager of its shared drive",
                    s->google.folder_id);
    else if (r->verdict != STORE_OK)
        check_fault(k, "google", "%s", r->err->detail);
    else if (json_is_true(json_object_get(r->json, "trashed")))
        check_fault(k, "google", "the folder %s is in the bin: restore it, or name another in "
                    "GOOGLE_DRIVE_FOLDER_ID", s->google.folder_id);
    else if (!drive && !*s->google.subject)
        check_note(k, "google", "the folder %s is on no shared drive: a service account cannot own "
                   "files there, a user can", s->google.folder_id);
    else
        check_ok(k, "google", "the folder %s%s", s->google.folder_id,
                 drive ? ", on a shared drive" : "");
    check_end(k);
}

static void look_up(struct check *k, const struct google *g)
{
    static const struct google_handlers on = { .on_done = on_folder };
    struct drive_request q;

    drive_request_init(&q, 0);
    drive_look_up(&q, g->root, k->ctl->settings.google.folder_id);
    if (google_call(g, &q, g->timeout, &on, k))
        check_wait(k);
    else
        check_fault(k, "google", "out of memory");
}

/* The same connections, token and requests as the runner's. */
static void ask(struct check *k, struct credentials *credentials)
{
    const struct settings *s = &k->ctl->settings;
    struct http_options o = { .connect_timeout = CONNECT_TIMEOUT_MS, .user_agent = "confab" };
    struct http *http = http_new(k->ctl->loop, &o);
    struct tokens_options t = {
        .loop = k->ctl->loop, .http = http, .credentials = *credentials,
        .scope = s->google.scope, .subject = s->google.subject, .timeout = s->google.timeout,
    };
    struct tokens *tokens = http ? tokens_new(&t) : NULL;
    size_t root_len = strlen(s->google.api_root);
    char *root;

    if (!http)
        credentials_close(credentials);
    while (root_len > 0 && s->google.api_root[root_len - 1] == '/')
        root_len--;
    root = strndup(s->google.api_root, root_len);
    if (tokens && root)
        look_up(k, &(struct google){ .loop = k->ctl->loop, .http = http, .http_once = http,
                                     .tokens = tokens, .root = root,
                                     .timeout = s->google.timeout,
                                     .upload_timeout = s->google.upload_timeout });
    else
        check_fault(k, "google", "out of memory");
    free(root);
    tokens_free(tokens);
    http_free(http);
}

void check_google(struct check *k)
{
    struct credentials credentials;
    struct err e = ERR_NONE;

    if (credentials_read(k->ctl->settings.google.credentials, &credentials, &e) != ERR_OK)
        check_fault(k, "google", "GOOGLE_APPLICATION_CREDENTIALS: %s", e.detail);
    else
        ask(k, &credentials);
}
