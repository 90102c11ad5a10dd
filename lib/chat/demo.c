#include "lib/chat/demo.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

enum {
    PIECE_PAUSE = 4,        /* ms between two pieces */
    PIECE_MAX = 24,
    QUOTE_MAX = 120,        /* bytes of the question that are said back */
    LONG_QUESTION = 60,
    ANSWER_MAX = 8192,
};

struct demo_call {
    struct model_handlers on;
    void        *arg;
    struct timer timer;
    struct buf   answer;
    size_t       said;      /* bytes of it */
    bool         paused;
    bool         talking;   /* within on_text, where the call may be cancelled */
    bool         cancelled;
};

/* The words */

static size_t characters(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}

static size_t words(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += !strchr(" \t\r\n", s[i]) && (i == 0 || strchr(" \t\r\n", s[i - 1]));
    return n;
}

/* On one line, so that it stays within its quotation mark. */
static void add_quote(struct buf *out, const char *s, size_t len)
{
    size_t shown = len > QUOTE_MAX ? text_utf8_prefix(s, QUOTE_MAX) : len;

    buf_adds(out, "> ");
    for (size_t i = 0; i < shown; i++)
        buf_addc(out, (unsigned char)s[i] < ' ' ? ' ' : s[i]);
    buf_adds(out, shown < len ? " ...\n\n" : "\n\n");
}

static void add_memory(struct buf *out, size_t turns)
{
    if (turns == 0)
        buf_adds(out, "This is the first turn of our conversation.\n");
    else if (turns == 1)
        buf_adds(out, "I remember one earlier turn of our conversation.\n");
    else
        buf_addf(out, "I remember %zu earlier turns of our conversation.\n", turns);
}

/* Something of everything that a real answer may hold. */
static void add_samples(struct buf *out, const struct model_question *q)
{
    buf_addf(out,
        "\n### What I see in it\n\n"
        "| what | how much |\n"
        "| --- | ---: |\n"
        "| words | %zu |\n"
        "| characters | %zu |\n"
        "| bytes | %zu |\n\n"
        "### What a real model would do\n\n"
        "- read the **system prompt** and what was said before,\n"
        "- answer the question,\n"
        "- and use *Markdown* such as this list, the table above and the code below.\n",
        words(q->user, q->user_len), characters(q->user, q->user_len), q->user_len);
}

static void add_how_to(struct buf *out, bool in_full)
{
    if (!in_full) {
        buf_adds(out, "\nFor a real model set `OPENAI_API_KEY` (or `OPENAI_BASE_URL`) and start "
                      "again.\n");
        return;
    }
    buf_adds(out,
        "\n### How to get one\n\n"
        "```sh\n"
        "export OPENAI_API_KEY=...      # and for another server than OpenAI's:\n"
        "export OPENAI_BASE_URL=http://localhost:8080/v1\n"
        "scripts/up\n"
        "```\n");
}

bool demo_answer(struct buf *out, const struct model_question *q)
{
    bool in_full = q->user_len >= LONG_QUESTION;

    buf_adds(out, "I am the demo model of confab: I do not think, I only show how it works. "
                  "You wrote:\n\n");
    add_quote(out, q->user, q->user_len);
    add_memory(out, q->window_count);
    if (in_full)
        add_samples(out, q);
    add_how_to(out, in_full);
    return buf_ok(out);
}

size_t demo_piece(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && !strchr(" \n", text[n]))
        n++;
    while (n < len && strchr(" \n", text[n]))
        n++;
    return n > PIECE_MAX ? text_utf8_prefix(text, PIECE_MAX) : n;
}

/* The call */

static void demo_free(struct demo_call *c)
{
    timer_stop(&c->timer);
    buf_close(&c->answer);
    free(c);
}

static void say_end(struct demo_call *c)
{
    static const struct model_answer answer = { .finish_reason = "stop", .model = "demo" };
    struct model_handlers on = c->on;
    void *arg = c->arg;

    demo_free(c);
    on.on_done(arg, &answer, NULL);
}

static void say_piece(void *arg)
{
    struct demo_call *c = arg;
    const char *next = c->answer.data + c->said;
    size_t      len = demo_piece(next, c->answer.len - c->said);

    if (len == 0) {
        say_end(c);
        return;
    }
    c->said += len;
    c->talking = true;
    c->on.on_text(c->arg, next, len);
    c->talking = false;
    if (c->cancelled)
        demo_free(c);
    else if (!c->paused)
        timer_set(&c->timer, PIECE_PAUSE);
}

struct demo_call *demo_ask(struct loop *l, const struct model_question *q,
                           const struct model_handlers *on, void *arg)
{
    struct demo_call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->on = *on;
    c->arg = arg;
    timer_init(&c->timer, l, say_piece, c);
    buf_init(&c->answer, ANSWER_MAX);
    if (!demo_answer(&c->answer, q)) {
        demo_free(c);
        return NULL;
    }
    timer_set(&c->timer, PIECE_PAUSE);
    return c;
}

void demo_cancel(struct demo_call *c)
{
    if (c && c->talking)
        c->cancelled = true;
    else if (c)
        demo_free(c);
}

void demo_pause(struct demo_call *c)
{
    c->paused = true;
    timer_stop(&c->timer);
}

void demo_resume(struct demo_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    if (!c->talking)        /* else say_piece goes on */
        timer_set(&c->timer, PIECE_PAUSE);
}
