/* confabctl usage: what each key has used, by day. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "confabctl/ctl.h"
#include "lib/chat/quota.h"

enum { TENANTS_MAX = 10000 };

struct tenants {
    struct ctl *ctl;
    char       *name[TENANTS_MAX];      /* owned */
    size_t      count;
    size_t      at;                     /* which is being read */
    bool        headed;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void on_tenants(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct tenants *t = arg;
    size_t count = redis_reply_count(reply);

    for (size_t i = 0; i < count && t->count < TENANTS_MAX; i++) {
        char *name = strdup(redis_reply_text(redis_reply_at(reply, i)).s);

        if (name)
            t->name[t->count++] = name;
    }
    qsort(t->name, t->count, sizeof(*t->name), by_name);
    ctl_end(t->ctl, e);
}

static void on_usage(void *arg, const struct quota_usage *rows, size_t count, const struct err *e)
{
    struct tenants *t = arg;

    if (!t->headed && !e)
        printf("%-10s %-20s %-16s %-20s %9s %8s %8s %10s %10s %11s\n", "day", "tenant", "key",
               "name", "requests", "refused", "turns", "prompt", "answer", "tokens");
    t->headed = true;
    for (size_t i = 0; i < count; i++)
        printf("%-10s %-20s %-16s %-20s %9" PRId64 " %8" PRId64 " %8" PRId64 " %10" PRId64
               " %10" PRId64 " %11" PRId64 "\n", rows[i].day, t->name[t->at], rows[i].id,
               rows[i].name, rows[i].requests, rows[i].refused, rows[i].turns, rows[i].prompt,
               rows[i].completion, rows[i].total);
    ctl_end(t->ctl, e);
}

/* All tenants, unless one was named. */
static int find_tenants(struct ctl *c, struct tenants *t, const char *only)
{
    static const struct redis_arg argv[] = { REDIS_LIT("SMEMBERS"), REDIS_LIT(KEYS_TENANTS) };

    if (only) {
        t->name[t->count++] = strdup(only);
        return t->name[0] ? EXIT_SUCCESS : ctl_failed(c);
    }
    if (!redis_command(c->redis, 0, argv, 2, on_tenants, t))
        return ctl_failed(c);
    return ctl_wait(c);
}

static int show(struct ctl *c, const char *only, int64_t days)
{
    struct tenants t = { .ctl = c };
    int status = ctl_redis(c) ? find_tenants(c, &t, only) : ctl_failed(c);

    for (t.at = 0; status == EXIT_SUCCESS && t.at < t.count; t.at++)
        status = quota_read(c->redis, t.name[t.at], days, on_usage, &t) ? ctl_wait(c)
                                                                        : ctl_failed(c);
    while (t.count > 0)
        free(t.name[--t.count]);
    return status;
}

int ctl_usage(struct ctl *c, int argc, char **argv)
{
    static const struct option options[] = {
        { "tenant", required_argument, NULL, 't' },
        { "days", required_argument, NULL, 'd' },
        { 0 },
    };
    const char *tenant = NULL;
    long days = 7;
    int option;
    char *end;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't') {
            if (apikey_check_name("tenant", optarg, &c->err) != ERR_OK)
                return ctl_failed(c);
            tenant = optarg;
        } else if (option == 'd') {
            days = strtol(optarg, &end, 10);
            if (*end || days < 1 || days > QUOTA_DAYS_MAX) {
                err_field(&c->err, "--days", "has to be a number from 1 to %d", QUOTA_DAYS_MAX);
                return CTL_USAGE;
            }
        } else {
            return CTL_USAGE;
        }
    }
    return optind == argc ? show(c, tenant, days) : CTL_USAGE;
}
