#include "lib/base/json.h"

#include <stdlib.h>
#include <string.h>

/* Far above what any caller or upstream nests, far below what would hurt the stack. */
enum { DEPTH_MAX = 64 };

static const char *fault_words(enum json_error_code code)
{
    switch (code) {
    case json_error_premature_end_of_input:  return "it ends too early";
    case json_error_end_of_input_expected:   return "something follows the value";
    case json_error_invalid_utf8:            return "it is not UTF-8";
    case json_error_duplicate_key:           return "a name occurs twice in one object";
    case json_error_null_byte_in_key:        return "a name holds U+0000 or a lone surrogate";
    case json_error_numeric_overflow:        return "a number is too large";
    case json_error_stack_overflow:          return "it is nested too deeply";
    default:                                 return "syntax error";
    }
}

/* The value of 4 hex digits, or -1. */
static int hex4(const char *s, const char *end)
{
    int value = 0;

    if (end - s < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9' ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* s is behind a backslash inside a string. Returns how many bytes the escape has there;
 * *lone is set when it is one half of a surrogate pair without the other. */
static size_t escape_length(const char *s, const char *end, bool *lone)
{
    int unit;

    *lone = false;
    if (s == end || *s != 'u')
        return s != end;
    unit = hex4(s + 1, end);
    if (unit < 0)
        return 1;
    if (unit >= 0xD800 && unit <= 0xDBFF && end - s >= 7 && s[5] == '\\' && s[6] == 'u') {
        int second = hex4(s + 7, end);

        if (second >= 0xDC00 && second <= 0xDFFF)
            return 11;
    }
    *lone = unit >= 0xD800 && unit <= 0xDFFF;
    return 5;
}

/* One look at the text before it is parsed: how deep it nests, and where lone surrogates are
 * escaped. jansson refuses those without saying in which field; written as \u0000
 * into *patched (a copy, NULL while none is needed) they are found again by json_get_text. */
static bool scan(const char *text, size_t len, char **patched, size_t *depth)
{
    const char *end = text + len;
    size_t open = 0;
    bool in_string = false;

    *depth = 0;
    for (const char *p = text; p < end; p++) {
        bool lone;
        size_t n;

        if (!in_string) {
            in_string = *p == '"';
            if (*p == '{' || *p == '[')
                *depth = ++open > *depth ? open : *depth;
            else if ((*p == '}' || *p == ']') && open > 0)
                open--;
            continue;
        }
        if (*p == '"')
            in_string = false;
        if (*p != '\\')
            continue;
        n = escape_length(p + 1, end, &lone);
        if (lone && !*patched) {
            *patched = malloc(len);
            if (!*patched)
                return false;
            memcpy(*patched, text, len);
        }
        if (lone)
            memcpy(*patched + (p - text) + 2, "0000", 4);
        p += n;
    }
    return true;
}

enum err_code json_parse(const char *text, size_t len, json_t **out, struct err *e)
{
    json_error_t fault;
    char *patched = NULL;
    size_t depth;

    *out = NULL;
    if (!scan(text, len, &patched, &depth))
        return err_set(e, ERR_INTERNAL, "out of memory");
    if (depth > DEPTH_MAX) {
        free(patched);
        return err_set(e, ERR_BAD_JSON, "%s", fault_words(json_error_stack_overflow));
    }
    *out = json_loadb(patched ? patched : text, len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);
    free(patched);
    if (*out)
        return ERR_OK;
    if (json_error_code(&fault) == json_error_out_of_memory)
        return err_set(e, ERR_INTERNAL, "out of memory");
    /* jansson's own words quote the text, which must not reach the log. */
    return err_set(e, ERR_BAD_JSON, "%s at line %d, column %d",
                   fault_words(json_error_code(&fault)), fault.line, fault.column);
}

enum err_code json_get_text_opt(const json_t *obj, const char *field, size_t min, size_t max,
                                struct json_text *out, struct err *e)
{
    const json_t *value = json_object_get(obj, field);
    struct json_text text;

    *out = (struct json_text){ NULL, 0 };
    if (!json_is_object(obj))
        return err_set(e, ERR_INVALID, "a JSON object is expected");
    if (!value || json_is_null(value))
        return ERR_OK;
    if (!json_is_string(value))
        return err_field(e, field, "has to be a string");
    text = (struct json_text){ json_string_value(value), json_string_length(value) };
    if (text.len == 0 && min > 0)
        return err_field(e, field, "is empty");
    if (text.len < min)
        return err_field(e, field, "is shorter than %zu bytes", min);
    if (text.len > max)
        return err_field(e, field, "is longer than %zu bytes", max);
    if (memchr(text.s, '\0', text.len))
        return err_field(e, field, "holds U+0000 or a lone surrogate");
    *out = text;
    return ERR_OK;
}

enum err_code json_get_text(const json_t *obj, const char *field, size_t min, size_t max,
                            struct json_text *out, struct err *e)
{
    enum err_code code = json_get_text_opt(obj, field, min, max, out, e);

    if (code != ERR_OK || out->s)
        return code;
    return err_field(e, field, json_object_get(obj, field) ? "has to be a string" : "is missing");
}

enum err_code json_get_bool_opt(const json_t *obj, const char *field, bool *out, struct err *e)
{
    const json_t *value = json_object_get(obj, field);

    if (!json_is_object(obj))
        return err_set(e, ERR_INVALID, "a JSON object is expected");
    if (!value || json_is_null(value))
        return ERR_OK;
    if (!json_is_boolean(value))
        return err_field(e, field, "has to be true or false");
    *out = json_is_true(value);
    return ERR_OK;
}

const char *json_str(const json_t *obj, const char *field)
{
    const json_t *value = json_object_get(obj, field);
    const char *s = json_string_value(value);

    return s && strlen(s) == json_string_length(value) ? s : NULL;
}

int64_t json_int(const json_t *obj, const char *field, int64_t dflt)
{
    const json_t *value = json_object_get(obj, field);

    return json_is_integer(value) ? json_integer_value(value) : dflt;
}
