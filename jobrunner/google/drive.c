#include "jobrunner/google/drive.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"

enum { URL_MAX = 4096 };

#define FILES  "/drive/v3/files"
#define UPLOAD "/upload/drive/v3/files"

void drive_request_init(struct drive_request *q, size_t max_body)
{
    memset(q, 0, sizeof(*q));
    buf_init(&q->url, URL_MAX);
    buf_init(&q->body, max_body);
}

void drive_request_close(struct drive_request *q)
{
    buf_close(&q->url);
    buf_close(&q->body);
}

static void begin(struct drive_request *q, const char *method, const char *root, const char *path,
                  const char *id)
{
    q->method = method;
    q->content_type[0] = q->range[0] = '\0';
    q->upload_len = 0;
    q->once = false;
    buf_clear(&q->url);
    buf_clear(&q->body);
    buf_addf(&q->url, "%s%s", root, path);
    if (id[0]) {
        buf_addc(&q->url, '/');
        text_percent_encode(id, strlen(id), &q->url);
    }
}

static void parameter(struct drive_request *q, const char *name, const char *value)
{
    buf_addf(&q->url, "%c%s=", memchr(q->url.data, '?', q->url.len) ? '&' : '?', name);
    text_percent_encode(value, strlen(value), &q->url);
}

static bool done(const struct drive_request *q)
{
    return buf_ok(&q->url) && buf_ok(&q->body);
}

/* --- bodies --- */

static void json_begin(struct drive_request *q)
{
    snprintf(q->content_type, sizeof(q->content_type), "application/json; charset=UTF-8");
    buf_addc(&q->body, '{');
}

static void json_name(struct drive_request *q, const char *name)
{
    if (q->body.len && q->body.data[q->body.len - 1] != '{')
        buf_addc(&q->body, ',');
    buf_addf(&q->body, "\"%s\":", name);
}

static void json_text(struct drive_request *q, const char *name, const char *value)
{
    json_name(q, name);
    text_json_string(&q->body, value, strlen(value));
}

static void json_parent(struct drive_request *q, const char *parent)
{
    json_name(q, "parents");
    buf_addc(&q->body, '[');
    text_json_string(&q->body, parent, strlen(parent));
    buf_addc(&q->body, ']');
}

static void json_owner(struct drive_request *q, const struct drive_owner *o)
{
    json_name(q, "appProperties");
    buf_addc(&q->body, '{');
    json_text(q, "confabInstallation", o->installation);
    if (o->task)
        json_text(q, "confabTask", o->task);
    buf_addc(&q->body, '}');
}

/* --- the requests --- */

bool drive_generate_id(struct drive_request *q, const char *root)
{
    begin(q, "GET", root, FILES "/generateIds", "");    /* knows no supportsAllDrives */
    parameter(q, "count", "1");
    parameter(q, "space", "drive");
    parameter(q, "type", "files");
    parameter(q, "fields", "ids");
    return done(q);
}

bool drive_look_up(struct drive_request *q, const char *root, const char *id)
{
    begin(q, "GET", root, FILES, id);
    parameter(q, "supportsAllDrives", "true");
    parameter(q, "fields", "id,driveId,parents,trashed");
    return done(q);
}

bool drive_create_folder(struct drive_request *q, const char *root, const char *id,
                         const char *name, const char *parent, const struct drive_owner *o)
{
    begin(q, "POST", root, FILES, "");
    parameter(q, "supportsAllDrives", "true");
    parameter(q, "fields", "id");
    json_begin(q);
    json_text(q, "id", id);
    json_text(q, "name", name);
    json_text(q, "mimeType", "application/vnd.google-apps.folder");
    json_parent(q, parent);
    json_owner(q, o);
    buf_addc(&q->body, '}');
    return done(q);
}

bool drive_create_document(struct drive_request *q, const char *root, const char *name,
                           const char *parent, const struct drive_owner *o)
{
    begin(q, "POST", root, FILES, "");
    parameter(q, "supportsAllDrives", "true");
    parameter(q, "fields", "id");
    json_begin(q);
    json_text(q, "name", name);
    q->once = true;
    json_text(q, "mimeType", DRIVE_DOCUMENT);
    json_parent(q, parent);
    json_owner(q, o);
    buf_addc(&q->body, '}');
    return done(q);
}

static void fill_parameters(struct drive_request *q, const char *type)
{
    parameter(q, "uploadType", type);
    parameter(q, "supportsAllDrives", "true");
    parameter(q, "fields", "id,parents");
}

bool drive_fill(struct drive_request *q, const char *root, const char *id, const char *html,
                size_t len)
{
    char boundary[49];

    do
        text_random_hex(boundary, sizeof(boundary) / 2);
    while (memmem(html, len, boundary, strlen(boundary)));

    begin(q, "PATCH", root, UPLOAD, id);
    fill_parameters(q, "multipart");
    snprintf(q->content_type, sizeof(q->content_type), "multipart/related; boundary=%s", boundary);
    buf_addf(&q->body, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
             "{\"mimeType\":\"" DRIVE_DOCUMENT "\"}\r\n"
             "--%s\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n", boundary, boundary);
    buf_add(&q->body, html, len);
    buf_addf(&q->body, "\r\n--%s--\r\n", boundary);
    return done(q);
}

bool drive_publish(struct drive_request *q, const char *root, const char *id, const char *name,
                   const char *add, const char *remove)
{
    begin(q, "PATCH", root, FILES, id);
    if (add[0])
        parameter(q, "addParents", add);
    if (remove[0])
        parameter(q, "removeParents", remove);
    parameter(q, "supportsAllDrives", "true");
    parameter(q, "fields", "id");
    json_begin(q);
    json_text(q, "name", name);
    json_name(q, "trashed");
    buf_adds(&q->body, "false}");
    return done(q);
}

bool drive_trash(struct drive_request *q, const char *root, const char *id)
{
    begin(q, "PATCH", root, FILES, id);
    parameter(q, "supportsAllDrives", "true");
    parameter(q, "fields", "id");
    json_begin(q);
    json_name(q, "trashed");
    buf_adds(&q->body, "true}");
    return done(q);
}

/* Ids are made of letters, digits, '-' and '_'; a folder's comes from the settings, though. */
static void quoted(struct buf *out, const char *value)
{
    buf_addc(out, '\'');
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *value);
    }
    buf_addc(out, '\'');
}

bool drive_list_staged(struct drive_request *q, const char *root, const char *folder,
                       const char *installation, int64_t before, const char *page_token)
{
    char time[CLOCK_RFC3339_SIZE];
    struct buf query;

    begin(q, "GET", root, FILES, "");
    buf_init(&query, URL_MAX);
    quoted(&query, folder);
    buf_adds(&query, " in parents and trashed = false and appProperties has "
             "{ key='confabInstallation' and value=");
    quoted(&query, installation);
    buf_addf(&query, " } and createdTime < '%s'", clock_rfc3339(before, time));
    parameter(q, "q", buf_ok(&query) ? query.data : "");
    if (page_token[0])
        parameter(q, "pageToken", page_token);
    parameter(q, "pageSize", "100");
    parameter(q, "supportsAllDrives", "true");
    parameter(q, "includeItemsFromAllDrives", "true");
    parameter(q, "fields", "nextPageToken,files(id,appProperties)");
    buf_close(&query);
    return done(q);
}

bool drive_resumable_begin(struct drive_request *q, const char *root, const char *id, size_t len)
{
    begin(q, "PATCH", root, UPLOAD, id);
    fill_parameters(q, "resumable");
    json_begin(q);
    json_text(q, "mimeType", DRIVE_DOCUMENT);
    buf_addc(&q->body, '}');
    q->upload_len = len;
    q->once = true;
    return done(q);
}

bool drive_resumable_put(struct drive_request *q, const char *location, const char *html,
                         size_t from, size_t len)
{
    begin(q, "PUT", location, "", "");
    snprintf(q->content_type, sizeof(q->content_type), "text/html; charset=UTF-8");
    snprintf(q->range, sizeof(q->range), "bytes %zu-%zu/%zu", from, len - 1, len);
    buf_add(&q->body, html + from, len - from);
    q->once = true;
    return done(q);
}

bool drive_resumable_ask(struct drive_request *q, const char *location, size_t len)
{
    begin(q, "PUT", location, "", "");
    snprintf(q->range, sizeof(q->range), "bytes */%zu", len);
    return done(q);
}
