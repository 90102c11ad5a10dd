/* Strict where it says yes: whatever is unusual, or not JSON, is left to the parser. */

#include "lib/chat/openai_chunk.h"

#include <string.h>

#include "lib/base/text.h"

enum { DEPTH_MAX = 16, COUNT_MAX = 100000000 };

struct scan {
    const char *at, *end;
    int         depth;
};

struct word { const char *s; size_t len; bool escaped; };

/* A member's value is to be read by this. False: leave it to the parser. */
typedef bool member_fn(struct scan *s, const struct word *name, struct openai_chunk *out);

static bool skip_value(struct scan *s);

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

/* This character, and the blanks after it. */
static bool take(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    skip_blanks(s);
    return true;
}

static bool take_string(struct scan *s, struct word *out)
{
    if (s->at == s->end || *s->at != '"')
        return false;
    *out = (struct word){ .s = ++s->at };
    for (;;) {
        s->at += text_json_plain(s->at, (size_t)(s->end - s->at));
        if (s->end - s->at < 2 || *s->at != '\\')
            break;
        if (!memchr("\"\\/bfnrt", s->at[1], 8))
            return false;
        out->escaped = true;
        s->at += 2;
    }
    out->len = (size_t)(s->at - out->s);
    return take(s, '"');
}

static bool take_literal(struct scan *s, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return false;
    s->at += len;
    skip_blanks(s);
    return true;
}

static size_t skip_digits(struct scan *s)
{
    const char *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return (size_t)(s->at - from);
}

/* Without an exponent, and of a length that cannot be too large for a number. */
static bool skip_number(struct scan *s)
{
    const char *first;
    size_t digits;

    if (*s->at == '-')
        s->at++;
    first = s->at;
    digits = skip_digits(s);
    if (digits == 0 || digits > 30 || (*first == '0' && digits > 1))
        return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (skip_digits(s) == 0)
            return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E'))
        return false;
    skip_blanks(s);
    return true;
}

/* The members of an object; member NULL: none of them matters. */
static bool read_object(struct scan *s, member_fn *member, struct openai_chunk *out)
{
    struct word name;

    if (!take(s, '{') || ++s->depth > DEPTH_MAX)
        return false;
    if (!take(s, '}')) {
        do {
            if (!take_string(s, &name) || name.escaped || !take(s, ':'))
                return false;
            if (member ? !member(s, &name, out) : !skip_value(s))
                return false;
        } while (take(s, ','));
        if (!take(s, '}'))
            return false;
    }
    s->depth--;
    return true;
}

static bool skip_array(struct scan *s)
{
    if (!take(s, '[') || ++s->depth > DEPTH_MAX)
        return false;
    if (!take(s, ']')) {
        do
            if (!skip_value(s))
                return false;
        while (take(s, ','));
        if (!take(s, ']'))
            return false;
    }
    s->depth--;
    return true;
}

static bool skip_value(struct scan *s)
{
    struct word w;

    if (s->at == s->end)
        return false;
    switch (*s->at) {
    case '"': return take_string(s, &w);
    case '{': return read_object(s, NULL, NULL);
    case '[': return skip_array(s);
    case 't': return take_literal(s, "true");
    case 'f': return take_literal(s, "false");
    case 'n': return take_literal(s, "null");
    default:  return skip_number(s);
    }
}

static bool is(const struct word *w, const char *name)
{
    return w->len == strlen(name) && memcmp(w->s, name, w->len) == 0;
}

/* A string, once, or null. */
static bool text_member(struct scan *s, const char **text, size_t *len, bool may_escape)
{
    struct word w;

    if (take_literal(s, "null"))
        return *text == NULL;       /* of two fields the last one counts: not our business */
    if (*text || !take_string(s, &w) || (w.escaped && !may_escape))
        return false;
    *text = w.s;
    *len = w.len;
    return true;
}

static bool delta_member(struct scan *s, const struct word *name, struct openai_chunk *out)
{
    if (is(name, "content"))
        return text_member(s, &out->content, &out->content_len, true);
    if (is(name, "refusal"))
        return take_literal(s, "null");
    return skip_value(s);
}

static bool choice_member(struct scan *s, const struct word *name, struct openai_chunk *out)
{
    if (is(name, "index"))
        return take_literal(s, "0") && s->at < s->end && (*s->at == ',' || *s->at == '}');
    if (is(name, "delta"))
        return !out->content && read_object(s, delta_member, out);
    if (is(name, "finish_reason"))
        return text_member(s, &out->finish, &out->finish_len, false);
    return skip_value(s);
}

/* A whole number, once, and of so few digits that it cannot be too large. */
static bool count_member(struct scan *s, int64_t *count)
{
    const char *digit = s->at;

    if (*count >= 0 || s->at == s->end || !skip_number(s))
        return false;
    for (*count = 0; *digit >= '0' && *digit <= '9'; digit++) {
        if (*count >= COUNT_MAX)
            return false;
        *count = *count * 10 + (*digit - '0');
    }
    return *digit != '-' && *digit != '.';
}

static bool usage_member(struct scan *s, const struct word *name, struct openai_chunk *out)
{
    if (is(name, "prompt_tokens"))
        return count_member(s, &out->prompt_tokens);
    if (is(name, "completion_tokens"))
        return count_member(s, &out->completion_tokens);
    if (is(name, "total_tokens"))
        return count_member(s, &out->total_tokens);
    return skip_value(s);
}

static bool read_usage(struct scan *s, struct openai_chunk *out)
{
    out->usage = true;
    return read_object(s, usage_member, out);
}

static bool chunk_member(struct scan *s, const struct word *name, struct openai_chunk *out)
{
    if (is(name, "choices"))
        return !out->content && !out->finish && take(s, '[') &&
               (take(s, ']') || (read_object(s, choice_member, out) && take(s, ']')));
    if (is(name, "model"))
        return text_member(s, &out->model, &out->model_len, false);
    if (is(name, "error"))
        return take_literal(s, "null");
    if (is(name, "usage"))
        return take_literal(s, "null") || (!out->usage && read_usage(s, out));
    if (is(name, "object"))
        return take_literal(s, "\"chat.completion.chunk\"");
    return skip_value(s);
}

bool openai_chunk_read(const char *json, size_t len, struct openai_chunk *out)
{
    struct scan s = { .at = json, .end = json + len };

    *out = (struct openai_chunk){
        .prompt_tokens = -1, .completion_tokens = -1, .total_tokens = -1,
    };
    skip_blanks(&s);
    return read_object(&s, chunk_member, out) && s.at == s.end && text_is_utf8(json, len);
}
