#include "fcgi/handlers/output.h"

#include "fcgi/response.h"

void output_list_end(struct buf *body, const char *next)
{
    if (next && *next)
        buf_addf(body, "],\"next_cursor\":\"%s\"}", next);
    else
        buf_adds(body, "],\"next_cursor\":null}");
}

void output_done(void *arg, const struct err *e)
{
    struct request *r = arg;

    if (e)
        response_error(r, e);
    else
        response_bytes(r, 204, NULL, NULL, 0);
}

void output_no_memory(struct request *r)
{
    struct err e = ERR_NONE;

    err_set(&e, ERR_INTERNAL, "out of memory");
    response_error(r, &e);
}
