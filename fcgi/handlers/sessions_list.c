/* GET /api/v1/sessions?username=&limit=&cursor=: a page of sessions, the newest first. */

#include "fcgi/app.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/input.h"
#include "fcgi/handlers/output.h"
#include "fcgi/response.h"
#include "lib/base/text.h"
#include "lib/chat/session_list.h"

/* A record's texts have up to 1,3 KB, and may grow sixfold in JSON. */
enum { PAGE_MAX = SESSION_LIST_MAX * 10 * 1024 };

static void on_page(void *arg, const struct session_list_page *page, const struct err *e)
{
    struct request *r = arg;
    struct buf body;

    if (e) {
        response_error(r, e);
        return;
    }
    buf_init(&body, PAGE_MAX);
    buf_adds(&body, "{\"items\":[");
    for (size_t i = 0; i < page->count; i++) {
        if (i > 0)
            buf_addc(&body, ',');
        session_record_json(&body, &page->items[i]);
    }
    output_list_end(&body, page->next_cursor);
    response_json(r, 200, &body);
    buf_close(&body);
}

void handle_sessions(struct request *r)
{
    char username[KEYS_USERNAME_MAX + 1], cursor[SESSION_CURSOR_SIZE];
    struct session_list_query q = { .tenant = r->tenant };
    struct err e = ERR_NONE;

    if (input_query(r, "username", username, sizeof(username), &e) == ERR_OK &&
        input_query(r, "cursor", cursor, sizeof(cursor), &e) == ERR_OK &&
        input_limit(r, SESSION_LIST_MAX, &q.limit, &e) == ERR_OK) {
        q.username = *username ? username : NULL;
        q.cursor = *cursor ? cursor : NULL;
        session_list(r->app->redis, &q, on_page, r, NULL, &e);
    }
    if (e.code != ERR_OK)
        response_error(r, &e);
}
