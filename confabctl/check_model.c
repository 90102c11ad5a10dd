/* Does the model's server answer, does it take the key, does it have the model? Asked by its list
 * of models, which costs nothing. */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "confabctl/check.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/io/http.h"

enum { LIST_MAX = 4 << 20, TIMEOUT_MS = 15000 };

struct listing {
    struct check *check;
    struct buf    body;
};

static bool on_body(void *arg, const char *bytes, size_t len)
{
    struct listing *l = arg;

    return buf_add(&l->body, bytes, len);
}

static bool lists(const json_t *list, const char *name)
{
    const json_t *data = json_object_get(list, "data");
    const json_t *model;
    size_t i;

    json_array_foreach(data, i, model) {
        const char *id = json_str(model, "id");

        if (id && strcmp(id, name) == 0)
            return true;
    }
    return false;
}

static void judge_list(struct check *k, const struct buf *body)
{
    const char *name = k->ctl->settings.model.name;
    json_t *list = NULL;

    if (json_parse(body->data, body->len, &list, NULL) != ERR_OK)
        check_note(k, "model", "the server answers, but not with a list of models: whether it has "
                   "%s shows when it is asked", name);
    else if (lists(list, name))
        check_ok(k, "model", "%s, listed by %s", name, k->ctl->settings.model.base_url);
    else
        check_note(k, "model", "the server answers, but does not list %s: check OPENAI_MODEL; some "
                   "servers have more than they list", name);
    json_decref(list);
}

static void on_done(void *arg, int status, const struct err *e)
{
    struct listing *l = arg;
    struct check *k = l->check;
    const char *url = k->ctl->settings.model.base_url;

    if (e)
        check_fault(k, "model", "%s: %s: check OPENAI_BASE_URL, and that this host may reach it",
                    url, e->detail);
    else if (status == 200)
        judge_list(k, &l->body);
    else if (status == 401 || status == 403)
        check_fault(k, "model", "%s refuses the key (%d): check OPENAI_API_KEY%s", url, status,
                    *k->ctl->settings.model.api_key ? "" : ", which is not set");
    else if (status == 404 || status == 405)
        check_note(k, "model", "%s has no list of models (%d): if it has the model shows when it is "
                   "asked; should that fail, OPENAI_BASE_URL lacks its version (/v1)", url, status);
    else
        check_fault(k, "model", "%s answers %d: ask whoever runs it", url, status);
    check_end(k);
}

/* The URL's query, as Azure has one, stays behind the path. */
static void list_url(struct buf *out, const char *base)
{
    size_t path = strcspn(base, "?#"), keep = path;

    while (keep > 0 && base[keep - 1] == '/')
        keep--;
    buf_add(out, base, keep);
    buf_adds(out, "/models");
    buf_add(out, base + path, strcspn(base + path, "#"));
}

static void ask(struct check *k, struct http *http)
{
    static const struct http_handlers on = { .on_body = on_body, .on_done = on_done };
    const struct settings *s = &k->ctl->settings;
    bool bearer = strcasecmp(s->model.auth_header, "Authorization") == 0;
    struct listing l = { .check = k };
    struct buf url, auth;
    const char *headers[2] = { NULL, NULL };

    buf_init(&l.body, LIST_MAX);
    buf_init(&url, 8192);
    buf_init(&auth, 16384);
    list_url(&url, s->model.base_url);
    buf_addf(&auth, "%s: %s%s", s->model.auth_header, bearer ? "Bearer " : "", s->model.api_key);
    if (*s->model.api_key)
        headers[0] = auth.data;
    if (http_send(http, &(struct http_request){ .method = "GET", .url = url.data,
                  .headers = headers, .total_timeout = TIMEOUT_MS }, &on, &l))
        check_wait(k);
    else
        check_fault(k, "model", "out of memory");
    explicit_bzero(auth.data, auth.len);
    buf_close(&auth);
    buf_close(&url);
    buf_close(&l.body);
}

void check_model(struct check *k)
{
    const struct settings *s = &k->ctl->settings;
    struct http_options o = {
        .connect_timeout = s->model.connect_timeout, .ca_file = s->model.ca_file,
        .user_agent = "confab",
    };
    struct http *http;

    if (settings_use_demo(s)) {
        check_note(k, "model", "the demo model answers: set OPENAI_API_KEY or OPENAI_BASE_URL");
        return;
    }
    if (!settings_has_model(s)) {
        check_fault(k, "model", "set OPENAI_API_KEY or OPENAI_BASE_URL, or DEMO=fallback");
        return;
    }
    http = http_new(k->ctl->loop, &o);
    if (http)
        ask(k, http);
    else
        check_fault(k, "model", "out of memory");
    http_free(http);
}
