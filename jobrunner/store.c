#include "jobrunner/store.h"

/* The first that the settings choose; the folder asks for nothing and so comes last. */
static const struct store_kind *const kinds[] = { &store_google, &store_folder };

enum err_code store_open(const struct store_deps *d, struct store **out, struct err *e)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (kinds[i]->chosen(d->settings))
            return kinds[i]->open(d, out, e);
    return err_set(e, ERR_INVALID, "no store for documents is configured");
}

void store_close(struct store *s)
{
    if (s)
        s->kind->close(s);
}

const char *store_name(const struct store *s)
{
    return s->kind->name;
}

int64_t store_page_max(const struct store *s)
{
    return s->kind->page_max ? s->kind->page_max(s) : 0;
}

struct store_op *store_write(struct store *s, const struct store_job *job,
                             const struct store_handlers *on, void *arg)
{
    return s->kind->write(s, job, on, arg);
}

void store_proceed(struct store_op *op)
{
    op->kind->proceed(op);
}

void store_cancel(struct store_op *op)
{
    if (op)
        op->kind->cancel(op);
}
