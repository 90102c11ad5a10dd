/* confabctl check: would confab work with these settings? The settings themselves were checked by
 * main; here is looked whether the world is as they say. */

#include "confabctl/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/chat/apikeys.h"
#include "lib/chat/durability.h"
#include "lib/chat/prompt.h"

static void say(const char *verdict, const char *what, const char *fmt, va_list args)
{
    printf("%-6s %-11s ", verdict, what);
    vprintf(fmt, args);
    putchar('\n');
}

void check_ok(struct check *k, const char *what, const char *fmt, ...)
{
    va_list args;

    (void)k;
    va_start(args, fmt);
    say("ok", what, fmt, args);
    va_end(args);
}

void check_note(struct check *k, const char *what, const char *fmt, ...)
{
    va_list args;

    (void)k;
    va_start(args, fmt);
    say("note", what, fmt, args);
    va_end(args);
}

void check_fault(struct check *k, const char *what, const char *fmt, ...)
{
    va_list args;

    k->faults++;
    va_start(args, fmt);
    say("FAULT", what, fmt, args);
    va_end(args);
}

void check_wait(struct check *k)
{
    loop_run(k->ctl->loop);
}

void check_end(struct check *k)
{
    loop_stop(k->ctl->loop);
}

/* --- prompts ------------------------------------------------------------------------------------ */

static void check_prompts(struct check *k)
{
    const char *dir = k->ctl->settings.server.prompts_dir;
    struct prompts *prompts = NULL;
    struct err e = ERR_NONE;

    if (prompts_load(dir, &prompts, &e) == ERR_OK)
        check_ok(k, "prompts", "%s", prompts_names(prompts));
    else
        check_fault(k, "prompts", "%s: put a default.md and the others you want into "
                    "CONFAB_PROMPTS_DIR, %s", e.detail, dir);
    prompts_free(prompts);
}

/* --- redis -------------------------------------------------------------------------------------- */

static void on_durability(void *arg, const char *problem, const struct err *e)
{
    struct check *k = arg;
    bool required = k->ctl->settings.redis.durability == DURABILITY_REQUIRE;

    if (e && !problem) {
        check_fault(k, "redis", "%s: start it, or set REDIS_URL to where it is", e->detail);
    } else {
        check_ok(k, "redis", "answers");
        if (!problem && k->ctl->settings.redis.min_replicas > 0)
            check_ok(k, "durability", "appendonly yes, appendfsync always, noeviction; enough "
                     "replicas");
        else if (!problem)
            check_ok(k, "durability", "appendonly yes, appendfsync always, noeviction");
        else if (required)
            check_fault(k, "durability", "%s; without it no task is accepted, unless "
                        "REDIS_DURABILITY=warn", problem);
        else
            check_note(k, "durability", "%s; a crash of Redis may lose what was acknowledged",
                       problem);
    }
    check_end(k);
}

static void check_redis(struct check *k)
{
    if (!ctl_redis(k->ctl))
        check_fault(k, "redis", "%s", k->ctl->err.detail);
    else if (!durability_check(k->ctl->redis, k->ctl->settings.redis.min_replicas, on_durability,
                               k))
        check_fault(k, "redis", "out of memory");
    else
        check_wait(k);
}

/* --- keys --------------------------------------------------------------------------------------- */

static void on_made(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct check *k = arg;

    if (e)
        check_note(k, "keys", "those in Redis cannot be seen now");
    else if (redis_reply_int(reply) > 0)
        check_ok(k, "keys", "a key is needed: confabctl key list shows those in Redis");
    else
        check_note(k, "keys", "none: whoever reaches the port may chat at your expense; make one "
                   "with confabctl key add, or set API_KEY");
    check_end(k);
}

static void look_for_keys(struct check *k)
{
    static const struct redis_arg argv[] = { REDIS_LIT("HGET"), REDIS_LIT(KEYS_INSTALL),
                                             REDIS_LIT("keys") };

    if (!ctl_redis(k->ctl) || !redis_command(k->ctl->redis, 0, argv, 3, on_made, k))
        check_note(k, "keys", "those in Redis cannot be seen now");
    else
        check_wait(k);
}

static void check_keys(struct check *k)
{
    struct ctl *c = k->ctl;
    struct apikeys *keys = NULL;
    struct err e = ERR_NONE;

    if (!ctl_redis(c) ||
        apikeys_new(c->loop, c->redis, &c->settings, &keys, &e) != ERR_OK)
        check_fault(k, "keys", "%s", e.code != ERR_OK ? e.detail : c->err.detail);
    else if (c->settings.server.access == ACCESS_OPEN)
        check_note(k, "keys", "API_ACCESS=open: whoever reaches the port may chat at your expense");
    else if (apikeys_given(keys) > 0 || c->settings.server.access == ACCESS_KEYS)
        check_ok(k, "keys", "a key is needed: %zu from API_KEY and API_KEYS_FILE, others in Redis",
                 apikeys_given(keys));
    else
        look_for_keys(k);
    apikeys_free(keys);
}

/* --- documents ---------------------------------------------------------------------------------- */

static void check_folder(struct check *k)
{
    const char *folder = k->ctl->settings.tasks.doc_folder;
    struct stat st;

    if (stat(folder, &st) != 0)
        check_note(k, "documents", "DOC_FOLDER %s: %s: the runner makes it if it may", folder,
                   strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        check_fault(k, "documents", "DOC_FOLDER %s is no folder: name another", folder);
    else if (access(folder, W_OK | X_OK) != 0)
        check_fault(k, "documents", "DOC_FOLDER %s: this user may not write there: chown it to the "
                    "runner's user", folder);
    else
        check_ok(k, "documents", "as HTML files in %s", folder);
}

static void check_documents(struct check *k)
{
    if (settings_use_google(&k->ctl->settings))
        check_google(k);
    else
        check_folder(k);
}

int ctl_check(struct ctl *c, int argc, char **argv)
{
    static void (*const all[])(struct check *k) = {
        check_prompts, check_redis, check_keys, check_model, check_documents,
    };
    struct check k = { .ctl = c };

    (void)argv;
    if (argc != 1)
        return CTL_USAGE;
    check_ok(&k, "settings", "each for itself");
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        all[i](&k);
    if (k.faults > 0)
        printf("%d fault%s\n", k.faults, k.faults > 1 ? "s" : "");
    return k.faults > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
