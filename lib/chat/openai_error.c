#include "lib/chat/openai_error.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/chat/openai_mask.h"

/* The header lines */

void openai_head_init(struct openai_head *h)
{
    *h = (struct openai_head){ .delay = -1 };
}

static enum openai_body body_of(const char *type)
{
    size_t len = strcspn(type, "; \t");

    if (len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0)
        return OPENAI_JSON;
    if (len == strlen("text/html") && strncasecmp(type, "text/html", len) == 0)
        return OPENAI_OTHER;
    return OPENAI_STREAM;
}

/* "1146", "1.5"; -1: something else. Rounded up; a year is as good as forever. */
static int64_t delay_of_number(const char *value, double unit)
{
    const double year = 365.0 * 86400 * 1000;
    char   *end;
    double  ms = strtod(value, &end) * unit;
    int64_t whole;

    while (*end == ' ')
        end++;
    if (end == value || *end || !isfinite(ms) || ms < 0)
        return -1;
    whole = (int64_t)(ms < year ? ms : year);
    return whole < ms && ms < year ? whole + 1 : whole;
}

/* The three forms of RFC 9110, 5.6.7; all of them are UTC. */
static int64_t delay_of_date(const char *value)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y",
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        struct tm   tm = { 0 };
        const char *end = strptime(value, forms[i], &tm);
        int64_t     delay;

        if (!end || *end)
            continue;
        delay = (int64_t)timegm(&tm) * 1000 - clock_wall_ms();
        return delay > 0 ? delay : 0;
    }
    return -1;
}

static void add_delay(struct openai_head *h, int64_t delay, bool in_ms)
{
    if (delay < 0 || (h->delay_in_ms && !in_ms))
        return;
    h->delay = delay;
    h->delay_in_ms = in_ms;
}

static void add_request_id(struct openai_head *h, const char *value)
{
    size_t len = 0;

    for (; *value && len < sizeof(h->request_id) - 1; value++)
        if (isgraph((unsigned char)*value) && *value != '"')
            h->request_id[len++] = *value;
    h->request_id[len] = '\0';
}

void openai_head_add(struct openai_head *h, const char *name, const char *value)
{
    int64_t delay;

    if (strcmp(name, "content-type") == 0) {
        h->body = body_of(value);
    } else if (strcmp(name, "retry-after-ms") == 0) {
        add_delay(h, delay_of_number(value, 1), true);
    } else if (strcmp(name, "retry-after") == 0) {
        delay = delay_of_number(value, 1000);
        add_delay(h, delay >= 0 ? delay : delay_of_date(value), false);
    } else if (strcmp(name, "x-should-retry") == 0) {
        h->should_retry = strcasecmp(value, "true") == 0    ? OPENAI_RETRY_YES
                          : strcasecmp(value, "false") == 0 ? OPENAI_RETRY_NO
                                                            : OPENAI_RETRY_UNSAID;
    } else if (strcmp(name, "x-request-id") == 0) {
        add_request_id(h, value);
    }
}

/* What the body says */

/* One line each, masked; "" when not said. */
struct fault {
    char code[64], type[64], message[200];
    int  status;            /* what vLLM and llama.cpp send as the code; 0 = none */
};

static void take(char *out, size_t size, const json_t *value, const char *secret)
{
    if (json_is_string(value))
        openai_mask(out, size, json_string_value(value), json_string_length(value), secret);
    else if (json_is_number(value))
        snprintf(out, size, "%.0f", json_number_value(value));
}

/* [{"loc":["body","n"],"msg":"..."}] of pydantic. Its "input" is what people wrote: never
 * looked at. */
static void take_first_detail(struct fault *f, const json_t *list, const char *secret)
{
    const json_t *first = json_is_array(list) ? json_array_get(list, 0) : NULL;
    const json_t *where = json_object_get(first, "loc");
    char          what[120] = "", name[60] = "";

    take(what, sizeof(what), json_object_get(first, "msg"), secret);
    if (json_array_size(where) > 0)
        take(name, sizeof(name), json_array_get(where, json_array_size(where) - 1), secret);
    if (what[0])
        snprintf(f->message, sizeof(f->message), "%s%s%s", name, name[0] ? ": " : "", what);
}

static void take_message(struct fault *f, const json_t *message, const char *secret)
{
    if (json_is_object(message))
        take_first_detail(f, json_object_get(message, "detail"), secret);
    else if (json_is_array(message))
        take_first_detail(f, message, secret);
    else
        take(f->message, sizeof(f->message), message, secret);
}

/* {"error":{...}}, {"error":"text"}, or the same fields without that wrapper. */
static struct fault fault_of(const json_t *root, const char *secret)
{
    const json_t *error = json_object_get(root, "error");
    const json_t *from = json_is_object(error) ? error : root;
    const json_t *code = json_object_get(from, "code");
    struct fault  f = { 0 };

    take(f.code, sizeof(f.code), code, secret);
    take(f.type, sizeof(f.type), json_object_get(from, "type"), secret);
    if (!f.type[0])
        take(f.type, sizeof(f.type), json_object_get(root, "error_type"), secret);
    take_message(&f, json_object_get(from, "message"), secret);
    if (!f.message[0] && from == root)
        take_message(&f, json_is_string(error) ? error : json_object_get(root, "detail"), secret);
    if (json_number_value(code) >= 400 && json_number_value(code) < 600)
        f.status = (int)json_number_value(code);
    return f;
}

/* What it means */

struct meaning { enum err_code code; bool retry; bool final; };  /* final: whatever a header says */

static const struct { const char *word; struct meaning meaning; } words[] = {
    { "insufficient_quota",                { ERR_UPSTREAM_QUOTA,   false, true  } },
    { "credit_balance_exhausted",          { ERR_UPSTREAM_QUOTA,   false, true  } },
    { "organization_spend_limit_exceeded", { ERR_UPSTREAM_QUOTA,   false, true  } },
    { "project_spend_limit_exceeded",      { ERR_UPSTREAM_QUOTA,   false, true  } },
    { "organization_usage_limit_exceeded", { ERR_UPSTREAM_QUOTA,   false, true  } },
    { "billing_hard_limit_reached",        { ERR_UPSTREAM_QUOTA,   false, true  } },
    { "billing_not_active",                { ERR_UPSTREAM_QUOTA,   false, true  } },
    { "rate_limit_exceeded",               { ERR_UPSTREAM_BUSY,    true,  false } },
    { "slow_down",                         { ERR_UPSTREAM_BUSY,    true,  false } },
    { "server_is_overloaded",              { ERR_UPSTREAM_BUSY,    true,  false } },
    { "rate_limit_error",                  { ERR_UPSTREAM_BUSY,    true,  false } },
    { "service_unavailable_error",         { ERR_UPSTREAM_BUSY,    true,  false } },
    { "unavailable_error",                 { ERR_UPSTREAM_BUSY,    true,  false } },
    { "overloaded_error",                  { ERR_UPSTREAM_BUSY,    true,  false } },
    { "overloaded",                        { ERR_UPSTREAM_BUSY,    true,  false } },
    { "invalid_api_key",                   { ERR_UPSTREAM_REFUSED, false, false } },
    { "model_not_found",                   { ERR_UPSTREAM_REFUSED, false, false } },
    { "context_length_exceeded",           { ERR_UPSTREAM_REFUSED, false, false } },
    { "exceed_context_size_error",         { ERR_UPSTREAM_REFUSED, false, false } },
    { "content_filter",                    { ERR_UPSTREAM_REFUSED, false, false } },
    { "authentication_error",              { ERR_UPSTREAM_REFUSED, false, false } },
    { "not_found_error",                   { ERR_UPSTREAM_REFUSED, false, false } },
    { "not_supported_error",               { ERR_UPSTREAM_REFUSED, false, false } },
};

static const struct meaning *meaning_of_word(const char *word)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(words[i].word, word) == 0)
            return &words[i].meaning;
    return NULL;
}

static struct meaning meaning_of_status(int status)
{
    switch (status) {
    case 402:
        return (struct meaning){ ERR_UPSTREAM_QUOTA, false, true };
    case 408: case 409:
        return (struct meaning){ ERR_UPSTREAM, true, false };
    case 429: case 503: case 529:
        return (struct meaning){ ERR_UPSTREAM_BUSY, true, false };
    case 424:               /* generation failed: not the request's fault */
        return (struct meaning){ ERR_UPSTREAM, false, false };
    case 501:
        return (struct meaning){ ERR_UPSTREAM_REFUSED, false, false };
    }
    if (status >= 500)
        return (struct meaning){ ERR_UPSTREAM, true, false };
    if (status >= 300)      /* a redirect too: the URL is wrong */
        return (struct meaning){ ERR_UPSTREAM_REFUSED, false, false };
    return (struct meaning){ ERR_UPSTREAM, false, false };
}

static struct meaning meaning_of(int status, const struct fault *f)
{
    const struct meaning *word = meaning_of_word(f->code);

    /* The same code as a true rate limit, but this request alone is over the limit. */
    if (strncasecmp(f->message, "Request too large", strlen("Request too large")) == 0)
        return (struct meaning){ ERR_UPSTREAM_REFUSED, false, true };
    if (!word)
        word = meaning_of_word(f->type);
    return word ? *word : meaning_of_status(status);
}

static void describe(struct err *e, enum err_code code, const char *what, const struct fault *f)
{
    err_set(e, code, "%s%s%s%s%s%s%s", what, f->code[0] ? ", code " : "", f->code,
            f->type[0] ? ", type " : "", f->type, f->message[0] ? ": " : "", f->message);
}

/* NULL when it is no JSON object, such as a proxy's page. */
static json_t *parse(const char *data, size_t len)
{
    json_t *root = json_loadb(data, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

bool openai_read_error(int status, const struct openai_head *h, const char *body, size_t len,
                       const char *secret, struct err *e)
{
    json_t        *root = parse(body, len);
    struct fault   f = fault_of(root, secret);
    struct meaning m = meaning_of(status, &f);
    const char    *form = root ? "" : ", no JSON";
    char           what[160];

    json_decref(root);
    if (!m.final && h->should_retry != OPENAI_RETRY_UNSAID)
        m.retry = h->should_retry == OPENAI_RETRY_YES;
    snprintf(what, sizeof(what), "status %d%s%s%s%s", status,
             status >= 300 && status < 400 ? " (a redirect: is the base URL right?)" : "",
             form, h->request_id[0] ? ", request " : "", h->request_id);
    describe(e, m.code, what, &f);
    if (e && h->delay >= 0)
        e->retry_after = (int)(h->delay / 1000 + (h->delay % 1000 > 0 || h->delay == 0));
    return m.retry;
}

/* Within an answer */

/* As JavaScript sees it, like the official client: {} and [] are true. */
static bool is_truthy(const json_t *value)
{
    if (json_is_string(value))
        return json_string_length(value) > 0;
    if (json_is_number(value))
        return json_number_value(value) != 0;
    return json_is_object(value) || json_is_array(value) || json_is_true(value);
}

bool openai_is_error(const json_t *root)
{
    const char *object = json_string_value(json_object_get(root, "object"));

    return is_truthy(json_object_get(root, "error")) || (object && strcmp(object, "error") == 0);
}

enum err_code openai_error_record(const json_t *root, const char *secret, struct err *e)
{
    struct fault   f = fault_of(root, secret);
    struct meaning m;

    /* There is no status line any more, but some servers put the status into the code. */
    if (!f.status)
        f.status = strcmp(f.type, "invalid_request_error") == 0 ? 400 : 500;
    m = meaning_of(f.status, &f);
    describe(e, m.code, "an error record in the answer", &f);
    return m.code;
}

enum err_code openai_error_event(const char *data, size_t len, const char *secret, struct err *e)
{
    json_t       *root = parse(data, len);
    enum err_code code = openai_error_record(root, secret, e);

    json_decref(root);
    return code;
}
