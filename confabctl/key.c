/* confabctl key add | list | revoke: the keys in Redis. A key is printed once, when it is made; only
 * its hash is kept. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "confabctl/ctl.h"
#include "lib/base/clock.h"
#include "lib/chat/apikeys_admin.h"

/* --- add ---------------------------------------------------------------------------------------- */

struct adding {
    struct ctl        *ctl;
    struct apikey_spec spec;
    char               key[APIKEY_SECRET_SIZE];
};

/* The key alone on standard output, for scripts. */
static void on_added(void *arg, const char *name, const struct err *e)
{
    struct adding *a = arg;

    if (!e) {
        fprintf(stderr, "key %s, id %.*s; it is shown now and never again:\n", name,
                APIKEY_ID_SIZE - 1, a->spec.hash);
        printf("%s\n", a->key);
    }
    ctl_end(a->ctl, e);
}

static bool read_option(int option, struct apikey_spec *spec, struct err *e)
{
    static const struct { int option; const char *limit; } limits[] = {
        { 'r', "requests_per_minute" }, { 'f', "in_flight" }, { 'd', "tokens_per_day" },
    };

    if (option == 't' && apikey_check_name("tenant", optarg, e) == ERR_OK)
        strcpy(spec->tenant, optarg);
    if (option == 'n' && apikey_check_name("name", optarg, e) == ERR_OK)
        strcpy(spec->name, optarg);
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        if (option == limits[i].option)
            apikey_set_limit(&spec->limits, limits[i].limit, optarg, e);
    return e->code == ERR_OK;
}

int ctl_key_add(struct ctl *c, int argc, char **argv)
{
    static const struct option options[] = {
        { "tenant", required_argument, NULL, 't' },
        { "name", required_argument, NULL, 'n' },
        { "rpm", required_argument, NULL, 'r' },
        { "in-flight", required_argument, NULL, 'f' },
        { "tokens-per-day", required_argument, NULL, 'd' },
        { 0 },
    };
    struct adding a = { .ctl = c, .spec = { .limits = { -1, -1, -1 } } };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return CTL_USAGE;
        if (!read_option(option, &a.spec, &c->err))
            return ctl_failed(c);
    }
    if (optind != argc || !*a.spec.tenant)
        return CTL_USAGE;
    apikey_make(a.key);
    apikey_hash(a.key, strlen(a.key), a.spec.hash);
    if (!*a.spec.name)
        snprintf(a.spec.name, sizeof(a.spec.name), "%.*s", APIKEY_ID_SIZE - 1, a.spec.hash);
    if (!ctl_redis(c) || !apikeys_add(c->redis, &a.spec, on_added, &a))
        return ctl_failed(c);
    return ctl_wait(c);
}

/* --- list --------------------------------------------------------------------------------------- */

static const char *limit_words(int64_t limit, char words[24])
{
    if (limit < 0)
        return "default";
    if (limit == 0)
        return "none";
    snprintf(words, 24, "%" PRId64, limit);
    return words;
}

static void on_list(void *arg, const struct apikeys_row *rows, size_t count, const struct err *e)
{
    struct ctl *c = arg;

    if (!e)
        printf("%-16s  %-20s %-20s %-24s %8s %9s %14s\n", "id", "tenant", "name", "created", "rpm",
               "in-flight", "tokens-per-day");
    for (size_t i = 0; i < count; i++) {
        const struct apikey_spec *s = &rows[i].spec;
        char created[CLOCK_RFC3339_SIZE], words[3][24];

        printf("%-16.*s  %-20s %-20s %-24s %8s %9s %14s\n", APIKEY_ID_SIZE - 1, s->hash, s->tenant,
               s->name, clock_rfc3339(rows[i].created_at, created),
               limit_words(s->limits.requests_per_minute, words[0]),
               limit_words(s->limits.in_flight, words[1]),
               limit_words(s->limits.tokens_per_day, words[2]));
    }
    ctl_end(c, e);
}

int ctl_key_list(struct ctl *c, int argc, char **argv)
{
    static const struct option options[] = {
        { "tenant", required_argument, NULL, 't' },
        { 0 },
    };
    const char *tenant = "";
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return CTL_USAGE;
        tenant = optarg;
    }
    if (optind != argc)
        return CTL_USAGE;
    if (!ctl_redis(c) || !apikeys_list(c->redis, tenant, on_list, c))
        return ctl_failed(c);
    return ctl_wait(c);
}

/* --- revoke ------------------------------------------------------------------------------------- */

static void on_revoked(void *arg, const char *name, const struct err *e)
{
    struct ctl *c = arg;

    if (!e)
        printf("revoked %s; it is refused within %.1f s\n", name,
               (double)c->settings.limits.key_cache / 1000);
    ctl_end(c, e);
}

int ctl_key_revoke(struct ctl *c, int argc, char **argv)
{
    if (argc != 2)
        return CTL_USAGE;
    if (!ctl_redis(c) || !apikeys_revoke(c->redis, argv[1], on_revoked, c))
        return ctl_failed(c);
    return ctl_wait(c);
}
