#include "lib/chat/model.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "lib/chat/demo.h"
#include "lib/chat/upstream.h"

struct model {
    struct loop     *loop;          /* borrowed */
    struct upstream *upstream;      /* NULL: the demo model */
    LIST_HEAD(, model_call) calls;
};

/* Exactly one of upstream and demo is set once the call was begun. */
struct model_call {
    struct upstream_call *upstream;
    struct demo_call     *demo;
    struct model_handlers on;
    void                 *arg;
    LIST_ENTRY(model_call) link;
};

enum err_code model_new(struct loop *l, const struct settings *s, struct model **out,
                        struct err *e)
{
    bool          demo = settings_use_demo(s);
    struct model *m;

    *out = NULL;
    if (!demo && !settings_has_model(s))
        return err_set(e, ERR_INVALID, "neither OPENAI_API_KEY nor OPENAI_BASE_URL is given");
    m = calloc(1, sizeof(*m));
    if (!m)
        return err_set(e, ERR_INTERNAL, "out of memory");
    m->loop = l;
    LIST_INIT(&m->calls);
    if (!demo && upstream_new(l, s, &m->upstream, e) != ERR_OK) {
        free(m);
        return err_wrap(e, "setting up the model");
    }
    *out = m;
    return ERR_OK;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    while (!LIST_EMPTY(&m->calls))
        model_cancel(LIST_FIRST(&m->calls));
    upstream_free(m->upstream);
    free(m);
}

static void on_text(void *arg, const char *text, size_t len)
{
    struct model_call *c = arg;

    c->on.on_text(c->arg, text, len);   /* c may be gone */
}

static void on_done(void *arg, const struct model_answer *answer, const struct err *e)
{
    struct model_call   *c = arg;
    struct model_handlers on = c->on;
    void                *to = c->arg;

    LIST_REMOVE(c, link);
    free(c);
    on.on_done(to, answer, e);
}

struct model_call *model_ask(struct model *m, const struct model_question *q,
                             const struct model_handlers *on, void *arg)
{
    static const struct model_handlers handlers = { on_text, on_done };
    struct model_call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->on = *on;
    c->arg = arg;
    if (m->upstream)
        c->upstream = upstream_ask(m->upstream, q, &handlers, c);
    else
        c->demo = demo_ask(m->loop, q, &handlers, c);
    if (!c->upstream && !c->demo) {
        free(c);
        return NULL;
    }
    LIST_INSERT_HEAD(&m->calls, c, link);
    return c;
}

void model_cancel(struct model_call *c)
{
    if (!c)
        return;
    LIST_REMOVE(c, link);
    upstream_cancel(c->upstream);
    demo_cancel(c->demo);
    free(c);
}

void model_pause(struct model_call *c)
{
    if (c->upstream)
        upstream_pause(c->upstream);
    else
        demo_pause(c->demo);
}

void model_resume(struct model_call *c)
{
    if (c->upstream)
        upstream_resume(c->upstream);
    else
        demo_resume(c->demo);
}

bool model_is_demo(const struct model *m)
{
    return !m->upstream;
}

const char *model_describe(const struct model *m)
{
    return m->upstream ? upstream_describe(m->upstream) : "the demo model";
}
