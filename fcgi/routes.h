#ifndef CONFAB_ROUTES_H
#define CONFAB_ROUTES_H
/* The API at a glance: routes.c holds the one table of method + path -> handler. */

#include "fcgi/request.h"

/* Hands the request to its handler, or answers it: 404, 405 with Allow, OPTIONS, 401. */
void routes_dispatch(struct request *r);

#endif
