#include "lib/io/redis_wire.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

/* "$3\r\n": printf would be most of a command's cost. */
static char *put_count(char *at, char kind, size_t n)
{
    char digits[24];
    size_t len = 0;

    do
        digits[len++] = (char)('0' + n % 10);
    while (n /= 10);
    *at++ = kind;
    while (len)
        *at++ = digits[--len];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

char *wire_put_head(char *at, size_t argc)
{
    return put_count(at, '*', argc);
}

char *wire_put_arg(char *at, struct redis_arg arg)
{
    at = put_count(at, '$', arg.len);
    if (arg.len)
        memcpy(at, arg.s, arg.len);
    at += arg.len;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

bool wire_add(struct buf *out, const char *const *words)
{
    size_t argc = 0, room = WIRE_HEAD_MAX;
    char *at, *end;

    for (; words[argc]; argc++)
        room += wire_arg_max(strlen(words[argc]));
    at = buf_reserve(out, room);
    if (!at)
        return false;
    end = wire_put_head(at, argc);
    for (size_t i = 0; i < argc; i++)
        end = wire_put_arg(end, redis_str(words[i]));
    buf_grew(out, (size_t)(end - at));
    return true;
}

static bool has_text(const struct redisReply *r)
{
    return r && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS);
}

struct redis_arg redis_reply_text(const struct redisReply *r)
{
    return has_text(r) ? (struct redis_arg){ r->str, r->len } : (struct redis_arg){ "", 0 };
}

int64_t redis_reply_int(const struct redisReply *r)
{
    if (has_text(r))
        return strtoll(r->str, NULL, 10);
    return r && r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
}

size_t redis_reply_count(const struct redisReply *r)
{
    return r && r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
}

const struct redisReply *redis_reply_at(const struct redisReply *r, size_t i)
{
    return i < redis_reply_count(r) ? r->element[i] : NULL;
}

bool redis_reply_is_nil(const struct redisReply *r)
{
    return !r || r->type == REDIS_REPLY_NIL;
}

struct redis_arg redis_str(const char *s)
{
    return (struct redis_arg){ s, strlen(s) };
}

bool wire_fault_is(const struct redisReply *r, const char *word)
{
    size_t len = strlen(word);

    return r->type == REDIS_REPLY_ERROR && strncmp(r->str, word, len) == 0 &&
           (r->str[len] == ' ' || r->str[len] == '\0');
}

/* The server cannot serve now; the same call may succeed later. */
static const char *const passing[] = {
    "LOADING", "READONLY", "MASTERDOWN", "BUSY", "CLUSTERDOWN", "NOAUTH", "WRONGPASS", "OOM",
    "MISCONF", "NOREPLICAS", "UNKILLABLE", "TRYAGAIN", "UNBLOCKED",
};

enum err_code wire_fault(const struct redisReply *r)
{
    if (r->type != REDIS_REPLY_ERROR)
        return ERR_OK;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (wire_fault_is(r, passing[i]))
            return ERR_STORE;
    return ERR_INTERNAL;
}
