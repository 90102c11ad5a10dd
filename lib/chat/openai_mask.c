#include "lib/chat/openai_mask.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

enum {
    LONG_WORD = 32,     /* letters and digits mixed for so long are no word of a language */
    SHORT_SECRET = 8,   /* a shorter one would mask half of what is said */
};

struct out { char *s; size_t len, size; };

static void put(struct out *out, const char *s, size_t len)
{
    if (len > out->size - 1 - out->len)
        len = out->size - 1 - out->len;
    memcpy(out->s + out->len, s, len);
    out->len += len;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_-*+=.~", c));
}

static size_t word_length(const char *s, size_t left)
{
    size_t len = 0;

    while (len < left && is_word(s[len]))
        len++;
    return len;
}

static bool starts(const char *word, size_t len, const char *with)
{
    return len > strlen(with) && strncasecmp(word, with, strlen(with)) == 0;
}

static bool looks_like_key(const char *word, size_t len, bool after_bearer)
{
    static const char *const prefixes[] = { "sk-", "hf_", "gsk_", "xai-", "pk-", "key-", "eyJ" };
    bool letter = false, digit = false;

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        if (starts(word, len, prefixes[i]))
            return true;
    for (size_t i = 0; i < len; i++) {
        letter |= isalpha((unsigned char)word[i]) != 0;
        digit |= isdigit((unsigned char)word[i]) != 0;
    }
    return (len >= LONG_WORD && letter && digit) || (after_bearer && len >= SHORT_SECRET);
}

/* Where in text the secret starts; len when it is not there. */
static size_t find_secret(const char *text, size_t len, const char *secret, size_t secret_len)
{
    const char *hit = secret_len >= SHORT_SECRET ? memmem(text, len, secret, secret_len) : NULL;

    return hit ? (size_t)(hit - text) : len;
}

void openai_mask(char *out, size_t size, const char *text, size_t len, const char *secret)
{
    struct out to = { .s = out, .size = size };
    size_t     secret_len = secret ? strlen(secret) : 0;
    bool       after_bearer = false;

    for (size_t at = 0; at < len && to.len < size - 1; ) {
        size_t safe = find_secret(text + at, len - at, secret, secret_len);
        size_t word = word_length(text + at, safe);

        if (safe == 0) {
            put(&to, "***", 3);
            at += secret_len;
        } else if (word == 0) {
            put(&to, iscntrl((unsigned char)text[at]) ? " " : text + at, 1);
            at++;
        } else {
            if (looks_like_key(text + at, word, after_bearer))
                put(&to, "***", 3);
            else
                put(&to, text + at, word);
            after_bearer = word == 6 && strncasecmp(text + at, "bearer", 6) == 0;
            at += word;
        }
    }
    out[text_utf8_prefix(out, to.len)] = '\0';
}
