#include "lib/chat/turn.h"

#include <string.h>

#include "lib/base/json.h"
#include "lib/base/text.h"

static void add_message(struct buf *out, const char *role, const char *text, size_t len)
{
    buf_adds(out, "{\"role\":\"");
    buf_adds(out, role);
    buf_adds(out, "\",\"content\":");
    text_json_string(out, text, len);
    buf_addc(out, '}');
}

/* The id comes first: turn_save.lua and turn_begin.lua know a turn by its first bytes. */
bool turn_encode(struct buf *out, const struct turn *t)
{
    buf_adds(out, "{\"id\":");
    text_add_decimal(out, t->id);
    buf_adds(out, ",\"asked\":");
    text_add_decimal(out, t->asked_at);
    buf_adds(out, ",\"answered\":");
    text_add_decimal(out, t->answered_at);
    buf_adds(out, ",\"model\":");
    text_json_string(out, t->model, strlen(t->model));
    buf_adds(out, t->interrupted ? ",\"interrupted\":true}\n" : "}\n");
    add_message(out, "user", t->user, t->user_len);
    buf_addc(out, ',');
    add_message(out, "assistant", t->bot, t->bot_len);
    return buf_ok(out);
}

void turn_messages(const char *entry, size_t len, const char **messages, size_t *messages_len)
{
    const char *newline = len ? memchr(entry, '\n', len) : NULL;
    size_t rest = newline ? len - (size_t)(newline + 1 - entry) : 0;

    if (rest < 2 || newline[1] != '{' || entry[len - 1] != '}')
        rest = 0;
    *messages = rest ? newline + 1 : "";
    *messages_len = rest;
}

static enum err_code parse_messages(const char *text, size_t len, json_t **out, struct err *e)
{
    struct buf array;
    enum err_code code;

    buf_init(&array, len + 2);
    buf_addc(&array, '[');
    buf_add(&array, text, len);
    buf_addc(&array, ']');
    if (buf_ok(&array))
        code = json_parse(array.data, array.len, out, e);
    else
        code = err_set(e, ERR_INTERNAL, "out of memory");
    buf_close(&array);
    return code;
}

/* False unless the message is one of this role. Borrows from it. */
static bool take_message(const json_t *message, const char *role, const char **text, size_t *len)
{
    const char *is = json_str(message, "role");
    const json_t *content = json_object_get(message, "content");

    if (!is || strcmp(is, role) != 0 || !json_is_string(content))
        return false;
    *text = json_string_value(content);
    *len = json_string_length(content);
    return true;
}

enum err_code turn_decode(const char *entry, size_t len, struct turn *t, struct turn_holder *holder,
                          struct err *e)
{
    json_t *meta = NULL, *messages = NULL;
    const char *text, *model;
    size_t text_len;

    memset(t, 0, sizeof *t);
    *holder = (struct turn_holder){ NULL, NULL };
    turn_messages(entry, len, &text, &text_len);
    if (!text_len)
        return err_set(e, ERR_INTERNAL, "a stored turn is not two lines of JSON");
    if (json_parse(entry, (size_t)(text - 1 - entry), &meta, e) != ERR_OK ||
        parse_messages(text, text_len, &messages, e) != ERR_OK)
        goto broken;

    t->id = json_int(meta, "id", 0);
    t->asked_at = json_int(meta, "asked", 0);
    t->answered_at = json_int(meta, "answered", 0);
    t->interrupted = json_is_true(json_object_get(meta, "interrupted"));
    model = json_str(meta, "model");
    t->model = model ? model : "";
    if (json_array_size(messages) != 2 ||
        !take_message(json_array_get(messages, 0), "user", &t->user, &t->user_len) ||
        !take_message(json_array_get(messages, 1), "assistant", &t->bot, &t->bot_len)) {
        err_set(e, ERR_INTERNAL, "not a question and its answer");
        goto broken;
    }
    *holder = (struct turn_holder){ meta, messages };
    return ERR_OK;

broken:
    json_decref(meta);
    json_decref(messages);
    memset(t, 0, sizeof *t);
    if (e)
        e->code = ERR_INTERNAL; /* what is stored is ours, not the client's input */
    err_wrap(e, "a stored turn");
    return ERR_INTERNAL;
}

void turn_release(struct turn_holder *holder)
{
    json_decref(holder->meta);
    json_decref(holder->messages);
    *holder = (struct turn_holder){ NULL, NULL };
}
