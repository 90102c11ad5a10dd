#include "lib/chat/keys.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

static void add(struct key *k, const char *s, size_t len)
{
    assert(len < sizeof k->s - k->len);
    memcpy(k->s + k->len, s, len);
    k->len += len;
    k->s[k->len] = '\0';
}

__attribute__((format(printf, 1, 2)))
static struct key key_of(const char *fmt, ...)
{
    struct key k;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(k.s, sizeof k.s, fmt, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof k.s);
    k.len = (size_t)len;
    return k;
}

/* Put together by hand: a turn makes a dozen of them. */
static struct key key_of_tenant(const char *tenant, const char *rest)
{
    struct key k;
    size_t len = strlen(tenant);

    assert(len > 0 && len <= KEYS_TENANT_MAX);
    k.len = 0;
    add(&k, "c1:{", 4);
    add(&k, tenant, len);
    add(&k, "}:", 2);
    add(&k, rest, strlen(rest));
    return k;
}

struct key key_session(const char *tenant, const char *id, size_t len, const char *kind)
{
    struct key k = key_of_tenant(tenant, "s:");
    char digits[TEXT_DECIMAL_SIZE];

    assert(len > 0 && len <= KEYS_SESSION_MAX);
    add(&k, digits, text_decimal(digits, (int64_t)len));
    add(&k, ":", 1);
    add(&k, id, len);
    if (*kind) {
        add(&k, ":", 1);
        add(&k, kind, strlen(kind));
    }
    return k;
}

struct key key_sessions_index(const char *tenant)
{
    return key_of_tenant(tenant, "idx:sessions");
}

struct key key_user_index(const char *tenant, const char *username, size_t len)
{
    struct key k = key_of_tenant(tenant, "idx:user:");

    assert(len > 0 && len <= KEYS_USERNAME_MAX);
    add(&k, username, len);
    return k;
}

struct key key_idempotency(const char *tenant, const char *hash)
{
    struct key k = key_of_tenant(tenant, "idem:");

    add(&k, hash, strlen(hash));
    return k;
}

struct key key_task(const char *task_id)
{
    assert(strlen(task_id) <= KEYS_TASK_MAX);
    return key_of(KEYS_TASKS_PREFIX "%s", task_id);
}

struct key key_wake(const char *child)
{
    return key_of("c1:wake:%s", child);
}

struct key key_apikey(const char *hash)
{
    return key_of("c1:key:%s", hash);
}

struct key key_quota(const char *tenant, const char *apikey_id, const char *kind)
{
    struct key k = key_of_tenant(tenant, "k:");

    add(&k, apikey_id, strlen(apikey_id));
    add(&k, ":", 1);
    add(&k, kind, strlen(kind));
    return k;
}

struct key key_usage(const char *tenant)
{
    return key_of_tenant(tenant, "use:");
}
