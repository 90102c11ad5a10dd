#ifndef CONFAB_SESSIONS_H
#define CONFAB_SESSIONS_H
/* What sessions.c lends to the older routes. */

#include "fcgi/request.h"
#include "lib/chat/session_admin.h"

/* {"session_id": ...}: the reply of whoever has made one. The request is gone. */
void sessions_created(struct request *r, const char *id, int status);

#endif
