#ifndef CONFAB_GOOGLE_DRIVE_H
#define CONFAB_GOOGLE_DRIVE_H
/* The requests of Drive v3 that confab makes, as URL, type and body; google/call.h sends them. No
 * I/O. Every one names supportsAllDrives where Google knows it, and asks only for the fields that
 * are read. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define DRIVE_DOCUMENT "application/vnd.google-apps.document"

struct drive_request {
    const char *method;
    struct buf  url;
    char        content_type[96];   /* "" = no body */
    struct buf  body;
    char        range[80];          /* Content-Range of an upload, or "" */
    size_t      upload_len;         /* X-Upload-Content-Length of a resumable one, or 0 */
    bool        once;               /* to send it twice is not the same as once */
};

/* max_body: what the body may grow to. root: without a slash at its end. */
void drive_request_init(struct drive_request *q, size_t max_body);
void drive_request_close(struct drive_request *q);      /* also of a zeroed one */

/* Whose a file is: appProperties, which only confab's own credentials see. Key and value together
 * stay under Google's 124 bytes. task NULL: not of a task. */
struct drive_owner { const char *installation, *task; };

/* Each is false when memory is out. */
bool drive_generate_id(struct drive_request *q, const char *root);
bool drive_look_up(struct drive_request *q, const char *root, const char *id);
/* A folder whose id was generated: a repeat answers 409. */
bool drive_create_folder(struct drive_request *q, const char *root, const char *id,
                         const char *name, const char *parent, const struct drive_owner *o);
bool drive_create_document(struct drive_request *q, const char *root, const char *name,
                           const char *parent, const struct drive_owner *o);
/* Replaces the whole content, converted. Answers with the parents. */
bool drive_fill(struct drive_request *q, const char *root, const char *id, const char *html,
                size_t len);
/* Names it, takes it out of the bin, and moves it. add and remove: folder ids, or "". */
bool drive_publish(struct drive_request *q, const char *root, const char *id, const char *name,
                   const char *add, const char *remove);
bool drive_trash(struct drive_request *q, const char *root, const char *id);
/* What this installation made in this folder before that time (wall ms), out of the bin: id and
 * appProperties of each. page_token: "" = the first page. */
bool drive_list_staged(struct drive_request *q, const char *root, const char *folder,
                       const char *installation, int64_t before, const char *page_token);

/* The same as drive_fill for what is larger than DRIVE_SIMPLE_MAX: the answer's Location is
 * where the bytes go. */
enum { DRIVE_SIMPLE_MAX = 5 * 1024 * 1024 };
bool drive_resumable_begin(struct drive_request *q, const char *root, const char *id, size_t len);
/* The bytes from `from` to the end. */
bool drive_resumable_put(struct drive_request *q, const char *location, const char *html,
                         size_t from, size_t len);
/* How much has arrived? */
bool drive_resumable_ask(struct drive_request *q, const char *location, size_t len);

#endif
