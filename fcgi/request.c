#include "fcgi/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"
#include "lib/chat/apikey.h"

static const char *const methods[] = {
    [METHOD_GET] = "GET",       [METHOD_HEAD] = "HEAD",     [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",       [METHOD_PATCH] = "PATCH",   [METHOD_DELETE] = "DELETE",
    [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "other",
};

enum method request_method(const char *name)
{
    for (int m = METHOD_GET; m < METHOD_OTHER; m++)
        if (strcmp(methods[m], name) == 0)
            return (enum method)m;
    return METHOD_OTHER;
}

const char *request_method_name(enum method m)
{
    return methods[m];
}

/* 1 to 64 of [A-Za-z0-9._-]: safe in a header, in the log and in a shell. */
static bool id_is_sane(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    return len > 0 && len < REQUEST_ID_SIZE && id[len] == '\0';
}

void request_init(struct request *r)
{
    const char *sent = r->headers[HEADER_REQUEST_ID];
    const char *question = strchr(r->target, '?');

    if (sent && id_is_sane(sent))
        strcpy(r->id, sent);
    else
        text_random_hex(r->id, 8);
    log_prefix(&r->log, "req=%s", r->id);
    r->query = question ? question + 1 : "";
    r->tenant = "default";
    r->reply.overhead_us = -1;
    buf_init(&r->reply.headers, 4096);
}

void request_close(struct request *r)
{
    request_drop_body(r);
    buf_close(&r->reply.headers);
    apikey_unref(r->key);
}

void request_drop_body(struct request *r)
{
    free(r->body);
    r->body = NULL;
    r->body_len = 0;
}

/* One segment, decoded to `to`, which has room for len + 1 bytes. */
static enum err_code decode_segment(struct segment *out, char *to, const char *raw, size_t len,
                                    struct err *e)
{
    struct buf decoded;
    enum err_code code = ERR_OK;

    buf_init(&decoded, len);
    if (!text_percent_decode(raw, len, &decoded))
        code = err_set(e, ERR_BAD_REQUEST, "the path has a broken %%-escape");
    else if (strcmp(decoded.data, ".") == 0 || strcmp(decoded.data, "..") == 0)
        code = err_field(e, "path", "the segments . and .. have no place in it");
    memcpy(to, decoded.data, decoded.len + 1);
    *out = (struct segment){ to, decoded.len };
    buf_close(&decoded);
    return code;
}

enum err_code request_split(struct request *r, struct err *e)
{
    const char *at = r->target, *end = at + strcspn(at, "?");
    char *to = r->space;

    r->segment_count = 0;
    if (*at != '/')
        return err_set(e, ERR_BAD_REQUEST, "the path does not begin with /");
    while (at < end) {
        const char *raw = at + 1;
        const char *slash = memchr(raw, '/', (size_t)(end - raw));
        size_t len = (size_t)((slash ? slash : end) - raw);
        struct segment *s = &r->segments[r->segment_count];

        if (r->segment_count == REQUEST_SEGMENTS_MAX)
            return err_set(e, ERR_NO_ROUTE, "the path is longer than any route");
        if (decode_segment(s, to, raw, len, e) != ERR_OK)
            return e->code;
        r->segment_count++;
        to += s->len + 1;       /* the '\0' takes the place of the slash */
        at = raw + len;
    }
    return ERR_OK;
}

/* application/json, also with charset=utf-8. A request without a type is refused as well:
 * browsers send such a one to foreign hosts without asking first (CORS). */
static bool is_json(const char *type)
{
    static const char json[] = "application/json", charset[] = "charset=";

    if (!type || strncasecmp(type, json, sizeof(json) - 1) != 0)
        return false;
    type += sizeof(json) - 1;
    type += strspn(type, " \t");
    if (*type == '\0')
        return true;
    if (*type++ != ';')
        return false;
    type += strspn(type, " \t");
    if (strncasecmp(type, charset, sizeof(charset) - 1) != 0)
        return true;            /* some other parameter, which means nothing for JSON */
    type += sizeof(charset) - 1;
    type += *type == '"';
    return strncasecmp(type, "utf-8", 5) == 0 || strncasecmp(type, "utf8", 4) == 0;
}

enum err_code request_json(const struct request *r, json_t **out, struct err *e)
{
    *out = NULL;
    if (!is_json(r->headers[HEADER_CONTENT_TYPE]))
        return err_set(e, ERR_MEDIA_TYPE, "send application/json in UTF-8");
    if (json_parse(r->body ? r->body : "", r->body_len, out, e) != ERR_OK)
        return e->code;
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return err_set(e, ERR_INVALID, "the body is not a JSON object");
    }
    return ERR_OK;
}

/* The raw value of the first parameter of this name, or NULL. */
static const char *query_value(const struct request *r, const char *name, size_t *len)
{
    size_t want = strlen(name);

    for (const char *at = r->query; *at;) {
        size_t pair = strcspn(at, "&"), key = strcspn(at, "=&");

        if (key == want && memcmp(at, name, want) == 0) {
            const char *value = at + key + (at[key] == '=');

            *len = (size_t)(at + pair - value);
            return value;
        }
        at += pair + (at[pair] == '&');
    }
    return NULL;
}

bool request_query(const struct request *r, const char *name, struct buf *out)
{
    size_t len;
    const char *value = query_value(r, name, &len);

    return value && text_percent_decode(value, len, out);
}

bool request_query_has(const struct request *r, const char *name)
{
    size_t len;

    return query_value(r, name, &len) != NULL;
}

/* Does this item of an Accept header ("text/event-stream;q=0.5") name the type and want it? */
static bool item_accepts(const char *item, size_t len, const char *type)
{
    size_t want = strlen(type);
    const char *q;

    if (len < want || strncasecmp(item, type, want) != 0)
        return false;
    if (len > want && !strchr("; \t", item[want]))
        return false;
    q = memmem(item, len, "q=", 2);
    if (!q)
        return true;
    q += 2;
    return strspn(q, "0.") < strcspn(q, ",; \t");   /* q=0, q=0.000: not wanted */
}

static bool accepts(const struct request *r, const char *type)
{
    const char *at = r->headers[HEADER_ACCEPT];

    while (at && *at) {
        size_t len;

        at += strspn(at, ", \t");
        len = strcspn(at, ",");
        if (item_accepts(at, len, type))
            return true;
        at += len;
    }
    return false;
}

bool request_accepts_event_stream(const struct request *r)
{
    return accepts(r, "text/event-stream");
}

bool request_accepts_html(const struct request *r)
{
    return accepts(r, "text/html");
}

void request_body_hash(const struct request *r, char out[65])
{
    const struct text_part body = { r->body ? r->body : "", r->body_len };

    text_sha256_hex(out, &body, 1);
}

enum err_code request_idempotency_key(const struct request *r, const char **out, struct err *e)
{
    const char *key = r->headers[HEADER_IDEMPOTENCY_KEY];
    size_t len = key ? strlen(key) : 1;

    *out = key;
    if (len < 1 || len > 255)
        return err_field(e, "Idempotency-Key", "must have 1 to 255 characters");
    for (; key && *key; key++)
        if (*key < ' ' || *key > '~')
            return err_field(e, "Idempotency-Key", "must be printable ASCII");
    return ERR_OK;
}
