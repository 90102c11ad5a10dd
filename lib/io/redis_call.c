#include "lib/io/redis_call.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/redis_wire.h"

static size_t args_size(const struct redis_arg *argv, size_t argc)
{
    size_t size = 0;

    for (size_t i = 0; i < argc; i++)
        size += wire_arg_max(argv[i].len);
    return size;
}

static char *put_args(char *at, const struct redis_arg *argv, size_t argc)
{
    for (size_t i = 0; i < argc; i++)
        at = wire_put_arg(at, argv[i]);
    return at;
}

static struct redis_call *call_new(size_t args_max, redis_fn *fn, void *arg)
{
    struct redis_call *c = malloc(sizeof *c + args_max);

    if (!c)
        return NULL;
    memset(c, 0, sizeof *c);
    list_init(&c->link);
    c->fn = fn;
    c->arg = arg;
    return c;
}

struct redis_call *call_of_command(const struct redis_arg *argv, size_t argc, redis_fn *fn,
                                   void *arg)
{
    struct redis_call *c = call_new(args_size(argv, argc), fn, arg);

    if (!c)
        return NULL;
    c->argc = argc;
    c->len = (size_t)(put_args(c->args, argv, argc) - c->args);
    return c;
}

struct redis_call *call_of_script(const struct redis_script *s, const struct redis_arg *keys,
                                  size_t nkeys, const struct redis_arg *args, size_t nargs,
                                  redis_fn *fn, void *arg)
{
    char number[24];
    struct redis_arg count = { number, (size_t)snprintf(number, sizeof number, "%zu", nkeys) };
    size_t size = wire_arg_max(count.len) + args_size(keys, nkeys) + args_size(args, nargs);
    struct redis_call *c = call_new(size, fn, arg);
    char *at;

    if (!c)
        return NULL;
    c->script = s;
    c->argc = 3 + nkeys + nargs;
    at = wire_put_arg(c->args, count);
    at = put_args(at, keys, nkeys);
    at = put_args(at, args, nargs);
    c->len = (size_t)(at - c->args);
    return c;
}

void call_free(struct redis_call *c)
{
    if (!c)
        return;
    freeReplyObject(c->reply);
    free(c);
}

size_t call_size(const struct redis_call *c)
{
    const struct redis_script *s = c->script;
    size_t script = s ? wire_arg_max(strlen("EVALSHA")) + wire_arg_max(strlen(s->sha1)) +
                        wire_arg_max(strlen(s->text)) : 0;

    return WIRE_HEAD_MAX + script + c->len;
}

char *call_put(const struct redis_call *c, char *at)
{
    const struct redis_script *s = c->script;

    at = wire_put_head(at, c->argc);
    if (s) {
        at = wire_put_arg(at, c->whole_script ? REDIS_LIT("EVAL") : REDIS_LIT("EVALSHA"));
        at = wire_put_arg(at, redis_str(c->whole_script ? s->text : s->sha1));
    }
    memcpy(at, c->args, c->len);
    return at + c->len;
}

void call_what(const struct redis_call *c, char what[CALL_WHAT_MAX])
{
    const char *word = (const char *)memchr(c->args, '\n', c->len) + 1;

    if (c->script)
        snprintf(what, CALL_WHAT_MAX, "%s", c->script->name);
    else
        snprintf(what, CALL_WHAT_MAX, "%.*s", (int)strcspn(word, "\r"), word);
}
