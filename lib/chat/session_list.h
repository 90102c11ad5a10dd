#ifndef CONFAB_SESSION_LIST_H
#define CONFAB_SESSION_LIST_H
/* A tenant's or a user's sessions, page by page, the newest first. One read of an index a page;
 * what has expired is taken out of the index as it is met. */

#include "lib/chat/session_record.h"

enum { SESSION_LIST_MAX = 200, SESSION_CURSOR_SIZE = 24 + 2 * 256 + 1 };

struct session_list_query {
    const char *tenant;
    const char *username;       /* NULL = all */
    const char *cursor;         /* next_cursor of the page before; NULL = begin */
    int64_t     limit;          /* 1 to SESSION_LIST_MAX */
};

struct session_list_page {
    const struct session_record *items;
    size_t                       count;
    const char                  *next_cursor;   /* NULL: nothing follows */
};

/* page is borrowed during the callback. e: ERR_STORE. */
typedef void session_list_fn(void *arg, const struct session_list_page *page,
                             const struct err *e);
struct session_list;
/* ERR_INVALID for a cursor that is none, ERR_INTERNAL without memory: then no callback comes, and
 * never before this has returned. out may be NULL. */
enum err_code session_list(struct redis *r, const struct session_list_query *q,
                           session_list_fn *fn, void *arg, struct session_list **out,
                           struct err *e);
void session_list_cancel(struct session_list *l);

#endif
