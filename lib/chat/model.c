#include "lib/chat/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/clock.h"
#include "lib/chat/demo.h"
#include "lib/chat/fallback.h"
#include "lib/chat/upstream.h"

struct model {
    struct loop     *loop;                      /* borrowed */
    const struct settings *settings;            /* borrowed */
    struct upstream *upstreams[FALLBACK_MAX];   /* owned; none: the demo model */
    struct fallback  fallback;
    LIST_HEAD(, model_call) calls;
};

/* What asking another upstream takes. */
struct spare {
    struct model_question question;             /* borrows from what follows */
    struct log            log;
    struct model_options  options;
    struct err            first;                /* ERR_OK: nothing has failed yet */
    struct session_part   window[];             /* then the text */
};

/* Exactly one of upstream and demo is set once the call was begun. */
struct model_call {
    struct model         *model;                /* borrowed */
    struct upstream_call *upstream;
    struct demo_call     *demo;
    struct model_handlers on;
    void                 *arg;
    int64_t               deadline;             /* of all upstreams together */
    struct spare         *spare;                /* owned; NULL once text came, or with one upstream */
    unsigned              tried;                /* a bit each */
    int                   asked;                /* the latest */
    const char           *name;                 /* of the model, at the first; NULL = as set */
    bool                  decided;              /* its fallback knows how it fared */
    bool                  paused;
    LIST_ENTRY(model_call) link;
};

static bool next_upstream(struct model_call *c, const struct model_question *q);

/* Setting up */

static enum err_code open_upstreams(struct model *m, struct err *e)
{
    const struct settings *s = m->settings;

    if (upstream_new(m->loop, &s->model, &m->upstreams[0], e) != ERR_OK)
        return e ? e->code : ERR_INVALID;
    for (size_t i = 0; i < s->upstream_count; i++)
        if (upstream_new(m->loop, &s->upstreams[i].model, &m->upstreams[1 + i], e) != ERR_OK)
            return err_wrap(e, "[upstream \"%s\"]", s->upstreams[i].name);
    fallback_init(&m->fallback, 1 + s->upstream_count, s->model.cool_down);
    return ERR_OK;
}

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
    m->settings = s;
    LIST_INIT(&m->calls);
    if (!demo && open_upstreams(m, e) != ERR_OK) {
        model_free(m);
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
    for (size_t i = 0; i < FALLBACK_MAX; i++)
        upstream_free(m->upstreams[i]);
    free(m);
}

/* The question, for those that are asked later */

static const char *put(char **at, const char *s, size_t len)
{
    char *copy = memcpy(*at, s, len);

    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

static struct spare *spare_new(const struct model_question *q)
{
    size_t        system = q->system ? strlen(q->system) : 0;
    size_t        size = system + q->user_len + q->memory.len + 3;
    struct spare *s;
    char         *at;

    for (size_t i = 0; i < q->window_count; i++)
        size += q->window[i].len + 1;
    s = malloc(sizeof(*s) + q->window_count * sizeof(s->window[0]) + size);
    if (!s)
        return NULL;
    at = (char *)(s->window + q->window_count);
    s->first = ERR_NONE;
    s->question = *q;
    s->log = q->log ? *q->log : (struct log){ "" };
    s->question.log = &s->log;
    s->options = q->options ? *q->options : (struct model_options){ .temperature = -1 };
    s->question.options = &s->options;
    s->question.window = s->window;
    s->question.system = q->system ? put(&at, q->system, system) : NULL;
    s->question.user = put(&at, q->user, q->user_len);
    if (q->memory.len > 0)
        s->question.memory.s = put(&at, q->memory.s, q->memory.len);
    for (size_t i = 0; i < q->window_count; i++)
        s->window[i] = (struct session_part){
            put(&at, q->window[i].s, q->window[i].len), q->window[i].len,
        };
    return s;
}

static void drop_spare(struct model_call *c)
{
    free(c->spare);
    c->spare = NULL;
}

/* What comes back */

static void decide(struct model_call *c, enum upstream_verdict verdict, const struct err *e)
{
    struct fallback *f = &c->model->fallback;

    if (c->decided)
        return;
    c->decided = true;
    if (verdict == UPSTREAM_ANSWERED)
        fallback_answered(f, c->asked);
    else if (verdict == UPSTREAM_UNDECIDED)
        fallback_undecided(f, c->asked);
    else
        fallback_failed(f, c->asked, 1000 * (int64_t)e->retry_after, clock_ms());
}

static void on_demo_text(void *arg, const char *text, size_t len)
{
    struct model_call *c = arg;

    c->on.on_text(c->arg, text, len);   /* c may be gone */
}

static void on_text(void *arg, const char *text, size_t len)
{
    struct model_call *c = arg;

    decide(c, UPSTREAM_ANSWERED, NULL);
    drop_spare(c);
    on_demo_text(c, text, len);
}

static void call_free(struct model_call *c)
{
    LIST_REMOVE(c, link);
    drop_spare(c);
    free(c);
}

static void on_demo_done(void *arg, const struct model_answer *answer, const struct err *e)
{
    struct model_call   *c = arg;
    struct model_handlers on = c->on;
    void                *to = c->arg;
    struct err           first;

    if (e && c->spare && c->spare->first.code != ERR_OK) {
        first = c->spare->first;
        e = &first;
    }
    call_free(c);
    on.on_done(to, answer, e);
}

/* c->spare is there. False: nobody else can be asked. */
static bool ask_another(struct model_call *c, const struct err *e)
{
    struct spare *s = c->spare;
    const char   *from = upstream_describe(c->model->upstreams[c->asked]);

    if (s->first.code == ERR_OK)
        s->first = *e;
    if (clock_ms() >= c->deadline || !next_upstream(c, &s->question))
        return false;
    log_warn(&s->log, "model_fallback from=\"%s\" to=\"%s\" code=%s why=\"%s\"", from,
             upstream_describe(c->model->upstreams[c->asked]), err_name(e->code), e->detail);
    return true;
}

static void on_done(void *arg, const struct model_answer *answer, const struct err *e,
                    enum upstream_verdict verdict)
{
    struct model_call *c = arg;

    decide(c, verdict, e);
    c->upstream = NULL;
    if (verdict == UPSTREAM_UNHEARD && c->spare && ask_another(c, e))
        return;
    on_demo_done(c, answer, e);
}

/* Asking */

static bool next_upstream(struct model_call *c, const struct model_question *q)
{
    static const struct upstream_handlers handlers = { on_text, on_done };
    struct model          *m = c->model;
    struct model_options   elsewhere;
    struct model_question  asked = *q;
    struct upstream_limits limits = { .deadline = c->deadline };
    int                    which = fallback_pick(&m->fallback, c->tried, clock_ms());

    if (which < 0)
        return false;
    c->tried |= 1u << which;
    c->asked = which;
    c->decided = false;
    limits.others = c->spare && fallback_has_better(&m->fallback, c->tried, clock_ms());
    if (which > 0 && q->options) {
        elsewhere = *q->options;
        elsewhere.model = NULL;
        asked.options = &elsewhere;
    }
    c->upstream = upstream_ask(m->upstreams[which], &asked, &limits, &handlers, c);
    if (!c->upstream) {
        decide(c, UPSTREAM_UNDECIDED, NULL);
        return false;
    }
    if (c->paused)
        upstream_pause(c->upstream);
    return true;
}

static bool begin(struct model_call *c, const struct model_question *q)
{
    static const struct model_handlers handlers = { on_demo_text, on_demo_done };
    struct model *m = c->model;

    if (model_is_demo(m)) {
        c->demo = demo_ask(m->loop, q, &handlers, c);
        return c->demo;
    }
    if (m->fallback.count > 1) {
        c->spare = spare_new(q);
        if (!c->spare)
            return false;
    }
    return next_upstream(c, q);
}

struct model_call *model_ask(struct model *m, const struct model_question *q,
                             const struct model_handlers *on, void *arg)
{
    struct model_call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->model = m;
    c->on = *on;
    c->arg = arg;
    c->name = q->options && q->options->model && q->options->model[0] ? q->options->model : NULL;
    c->deadline = clock_ms() + m->settings->model.turn_timeout;
    LIST_INSERT_HEAD(&m->calls, c, link);
    if (begin(c, q))
        return c;
    call_free(c);
    return NULL;
}

void model_cancel(struct model_call *c)
{
    if (!c)
        return;
    if (c->upstream)
        decide(c, UPSTREAM_UNDECIDED, NULL);
    upstream_cancel(c->upstream);
    demo_cancel(c->demo);
    call_free(c);
}

void model_pause(struct model_call *c)
{
    c->paused = true;
    if (c->upstream)
        upstream_pause(c->upstream);
    else
        demo_pause(c->demo);
}

void model_resume(struct model_call *c)
{
    c->paused = false;
    if (c->upstream)
        upstream_resume(c->upstream);
    else
        demo_resume(c->demo);
}

/* Who answers */

bool model_is_demo(const struct model *m)
{
    return !m->upstreams[0];
}

const char *model_describe(const struct model *m)
{
    return model_is_demo(m) ? "the demo model" : upstream_describe(m->upstreams[0]);
}

const char *model_call_name(const struct model_call *c)
{
    if (!c->upstream)
        return "";
    return c->asked == 0 && c->name ? c->name : upstream_model(c->model->upstreams[c->asked]);
}

size_t model_upstreams(const struct model *m, struct model_upstream out[MODEL_UPSTREAMS_MAX])
{
    for (size_t i = 0; i < m->fallback.count; i++)
        out[i] = (struct model_upstream){
            .name = i ? m->settings->upstreams[i - 1].name : "model",
            .describe = upstream_describe(m->upstreams[i]),
            .asked = m->fallback.all[i].asked,
            .failed = m->fallback.all[i].failed,
            .cooling = fallback_cooling(&m->fallback, (int)i, clock_ms()),
        };
    return m->fallback.count;
}
