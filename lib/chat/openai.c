#include "lib/chat/openai.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/openai_chunk.h"
#include "lib/chat/openai_error.h"

/* What is sent */

bool openai_url(struct buf *out, const char *base)
{
    size_t path = strcspn(base, "?#");
    size_t keep = path;

    while (keep > 0 && base[keep - 1] == '/')
        keep--;
    buf_add(out, base, keep);
    buf_adds(out, "/chat/completions");
    if (base[path] == '?')
        buf_add(out, base + path, strcspn(base + path, "#"));
    return buf_ok(out);
}

static void add_message(struct buf *out, const char *role, const char *text, size_t len)
{
    buf_adds(out, "{\"role\":");
    text_json_string(out, role, strlen(role));
    buf_adds(out, ",\"content\":");
    text_json_string(out, text, len);
    buf_addc(out, '}');
}

static void add_messages(struct buf *out, const struct model_settings *s,
                         const struct model_question *q)
{
    if (q->system && q->system[0]) {
        add_message(out, s->system_role, q->system, strlen(q->system));
        buf_addc(out, ',');
    }
    if (q->memory.len > 0) {
        add_message(out, s->system_role, q->memory.s, q->memory.len);
        buf_addc(out, ',');
    }
    for (size_t i = 0; i < q->window_count; i++) {
        if (q->window[i].len == 0)
            continue;
        buf_add(out, q->window[i].s, q->window[i].len);
        buf_addc(out, ',');
    }
    add_message(out, "user", q->user, q->user_len);
}

/* The question's own choices come before the settings'. */
static void add_options(struct buf *out, const struct model_settings *s,
                        const struct model_options *o)
{
    const char *model = o && o->model && o->model[0] ? o->model : s->name;
    int64_t     limit = o && o->token_limit > 0 ? o->token_limit : s->token_limit;

    buf_adds(out, "{\"model\":");
    text_json_string(out, model, strlen(model));
    buf_adds(out, ",\"stream\":true");
    if (s->usage == MODEL_USAGE_ASK)
        buf_adds(out, ",\"stream_options\":{\"include_usage\":true}");
    if (limit > 0) {
        buf_addc(out, ',');
        text_json_string(out, s->token_limit_field, strlen(s->token_limit_field));
        buf_addf(out, ":%lld", (long long)limit);
    }
    if (o && o->temperature >= 0)
        buf_addf(out, ",\"temperature\":%g", o->temperature);
    else if (s->temperature[0])     /* ".5" is a number for us, but not in JSON */
        buf_addf(out, ",\"temperature\":%g", strtod(s->temperature, NULL));
}

/* Most of it, so that it need not grow step by step. */
static size_t usual_size(const struct model_question *q)
{
    size_t size = 300 + (q->system ? strlen(q->system) : 0) + q->memory.len + q->user_len;

    for (size_t i = 0; i < q->window_count; i++)
        size += q->window[i].len + 1;
    return size;
}

bool openai_request_body(struct buf *out, const struct model_settings *s,
                         const struct model_question *q)
{
    buf_reserve(out, usual_size(q));
    add_options(out, s, q->options);
    buf_adds(out, ",\"messages\":[");
    add_messages(out, s, q);
    buf_adds(out, "]}");
    return buf_ok(out);
}

/* What is read */

/* A copy that fits, cut between characters. */
static void keep_text(char *out, size_t size, const char *s, size_t len)
{
    if (len >= size)
        len = text_utf8_prefix(s, size - 1);
    memcpy(out, s, len);
    out[len] = '\0';
}

static void keep(char *out, size_t size, const json_t *value)
{
    keep_text(out, size, json_string_value(value), json_string_length(value));
}

/* Nobody downstream wants a NUL: it cuts C strings and is refused from clients too. */
static void add_text(struct buf *text, const json_t *piece)
{
    const char *s = json_string_value(piece);
    size_t      left = json_string_length(piece);

    for (const char *nul; left > 0 && (nul = memchr(s, '\0', left)); ) {
        buf_add(text, s, (size_t)(nul - s));
        buf_adds(text, "\xEF\xBF\xBD");
        left -= (size_t)(nul - s) + 1;
        s = nul + 1;
    }
    buf_add(text, s, left);
}

/* A string, or parts such as {"type":"text","text":"..."}; other parts (thinking) are not
 * part of the answer. */
static void add_content(struct buf *text, const json_t *content)
{
    size_t  i;
    json_t *part;

    if (json_is_string(content))
        add_text(text, content);
    json_array_foreach(content, i, part) {
        const json_t *type = json_object_get(part, "type");
        const char   *kind = type ? json_string_value(type) : "text";

        if (kind && (strcmp(kind, "text") == 0 || strcmp(kind, "refusal") == 0)
            && json_is_string(json_object_get(part, kind)))
            add_text(text, json_object_get(part, kind));
    }
}

/* Tokens are counted as reals, see parse(). -1: not said. */
static int64_t tokens(const json_t *usage, const char *field)
{
    double n = json_number_value(json_object_get(usage, field));

    return json_is_number(json_object_get(usage, field)) && n >= 0 && n < 1e15 ? (int64_t)n : -1;
}

/* Each of them -1 when it was not said. */
static void keep_usage(struct openai_reader *r, int64_t prompt, int64_t completion, int64_t total)
{
    if (prompt < 0 && completion < 0 && total < 0)
        return;
    prompt = prompt < 0 ? 0 : prompt;
    completion = completion < 0 ? 0 : completion;
    r->usage = (struct model_usage){
        .prompt = prompt,
        .completion = completion,
        .total = total < 0 ? prompt + completion : total,
        .known = true,
    };
}

/* The first choice: n is never asked for, but some servers answer with more. */
static const json_t *first_choice(const json_t *choices)
{
    size_t  i;
    json_t *choice;

    json_array_foreach(choices, i, choice) {
        const json_t *index = json_object_get(choice, "index");

        if (json_is_object(choice) && (!json_is_number(index) || json_number_value(index) == 0))
            return choice;
    }
    return NULL;
}

static enum err_code read_choice(struct openai_reader *r, const json_t *choice, const char *field,
                                 struct buf *text, struct err *e)
{
    const json_t *message = json_object_get(choice, field);
    const json_t *finish = json_object_get(choice, "finish_reason");

    add_content(text, json_object_get(message, "content"));
    add_content(text, json_object_get(message, "refusal"));
    if (!buf_ok(text))
        return err_set(e, ERR_UPSTREAM, "the answer is longer than its maximum");
    if (json_string_length(finish) == 0)
        return ERR_OK;
    if (strcmp(json_string_value(finish), "error") == 0)
        return err_set(e, ERR_UPSTREAM, "the answer ended with finish_reason \"error\"");
    keep(r->finish_reason, sizeof(r->finish_reason), finish);
    return ERR_OK;
}

/* Lenient where the servers are: of duplicate fields the last one counts, and integers become
 * reals, for a seed above 2^63, which some send along, must not end an answer. */
static json_t *parse(const char *bytes, size_t len, const char *what, struct err *e)
{
    json_error_t why;
    json_t      *root = json_loadb(bytes, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);

    /* why.text may quote the bytes, and those are what people write */
    if (!root)
        err_set(e, ERR_UPSTREAM, "%s is not JSON (at byte %d)", what, why.position);
    else if (!json_is_object(root))
        err_set(e, ERR_UPSTREAM, "%s is not an object", what);
    else
        return root;
    json_decref(root);
    return NULL;
}

static enum err_code read_object(struct openai_reader *r, const json_t *root, const char *field,
                                 struct buf *text, const char *secret, struct err *e)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *choice = first_choice(json_object_get(root, "choices"));
    const json_t *usage = json_object_get(root, "usage");

    if (openai_is_error(root))
        return openai_error_record(root, secret, e);
    if (!r->model[0] && json_is_string(model))
        keep(r->model, sizeof(r->model), model);
    keep_usage(r, tokens(usage, "prompt_tokens"), tokens(usage, "completion_tokens"),
               tokens(usage, "total_tokens"));
    return choice ? read_choice(r, choice, field, text, e) : ERR_OK;
}

static void add_unescaped(struct buf *text, const char *s, size_t len)
{
    static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    const char *end = s + len;

    for (const char *escape; (escape = memchr(s, '\\', (size_t)(end - s))); s = escape + 2) {
        const char *name = memchr(names, escape[1], sizeof(names) - 1);

        buf_add(text, s, (size_t)(escape - s));
        buf_addc(text, name ? bytes[name - names] : escape[1]);
    }
    buf_add(text, s, (size_t)(end - s));
}

/* What read_object does, for nearly all chunks there are at a tenth of the cost. False: nothing
 * was done, the parser is needed. */
static bool read_chunk(struct openai_reader *r, const struct sse_event *event, struct buf *text)
{
    struct openai_chunk chunk;

    if (!openai_chunk_read(event->data, event->len, &chunk)
        || chunk.content_len > text->max - text->len
        || (chunk.finish_len == 5 && memcmp(chunk.finish, "error", 5) == 0))
        return false;
    if (!r->model[0] && chunk.model)
        keep_text(r->model, sizeof(r->model), chunk.model, chunk.model_len);
    keep_usage(r, chunk.prompt_tokens, chunk.completion_tokens, chunk.total_tokens);
    if (chunk.content)
        add_unescaped(text, chunk.content, chunk.content_len);
    if (chunk.finish_len > 0)
        keep_text(r->finish_reason, sizeof(r->finish_reason), chunk.finish, chunk.finish_len);
    return true;
}

static bool is_done(const struct sse_event *event)
{
    return event->len >= 6 && memcmp(event->data, "[DONE]", 6) == 0;
}

enum err_code openai_read_event(struct openai_reader *r, const struct sse_event *event,
                                struct buf *text, const char *secret, struct err *e)
{
    enum err_code code;
    json_t       *root;

    if (r->done)
        return ERR_OK;
    if (is_done(event)) {
        r->done = true;
        return openai_finished(r) ? ERR_OK
                                  : err_set(e, ERR_UPSTREAM, "[DONE] without a finish reason");
    }
    if (strcmp(event->name, "error") == 0)
        return openai_error_event(event->data, event->len, secret, e);
    if (read_chunk(r, event, text))
        return ERR_OK;
    root = parse(event->data, event->len, "a record of the stream", e);
    if (!root)
        return ERR_UPSTREAM;
    code = read_object(r, root, "delta", text, secret, e);
    json_decref(root);
    return code;
}

enum err_code openai_read_whole(struct openai_reader *r, const char *body, size_t len,
                                struct buf *text, const char *secret, struct err *e)
{
    enum err_code code;
    json_t       *root = parse(body, len, "the answer", e);

    if (!root)
        return ERR_UPSTREAM;
    code = read_object(r, root, "message", text, secret, e);
    json_decref(root);
    if (code == ERR_OK && !openai_finished(r))
        return err_set(e, ERR_UPSTREAM, "the answer has no finish reason");
    return code;
}
