/* What a session id may be, and where new ones come from. */
#include <string.h>

#include "lib/base/text.h"
#include "lib/chat/session.h"

enum err_code session_id_check(const char *id, size_t len, struct err *e)
{
    if (len == 0 || len > KEYS_SESSION_MAX)
        return err_field(e, "session_id", "must have 1 to %d bytes", KEYS_SESSION_MAX);
    if (!text_is_utf8(id, len))
        return err_field(e, "session_id", "must be UTF-8");
    if (text_has_control(id, len))
        return err_field(e, "session_id", "must not have control characters");
    /* In a path, browsers and proxies would resolve them away. */
    if (id[0] == '.' && (len == 1 || (len == 2 && id[1] == '.')))
        return err_field(e, "session_id", "must not be \".\" or \"..\"");
    return ERR_OK;
}

void session_id_make(const char *tenant, const char *idempotency_key, char out[33])
{
    char hash[65];

    if (!idempotency_key) {
        text_random_hex(out, 16);
        return;
    }
    text_sha256_hex(hash, (struct text_part[]){
        { "session", 7 },
        { tenant, strlen(tenant) },
        { idempotency_key, strlen(idempotency_key) },
    }, 3);
    memcpy(out, hash, 32);
    out[32] = '\0';
}
