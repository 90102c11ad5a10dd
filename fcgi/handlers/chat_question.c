#include "fcgi/handlers/chat_question.h"

#include <string.h>

static const struct prompt *prompt_of(const struct app *app, const char *name,
                                      const struct log *log)
{
    const struct prompt *found = prompts_find(app->prompts, name);

    if (found)
        return found;
    log_warn(log, "chat prompt=\"%s\" is missing, default serves", name);
    return prompts_find(app->prompts, "");
}

/* Tokens of the whole context; no more than the window was read for. */
static int64_t context_of(const struct app *app, const struct prompt *prompt)
{
    int64_t all = app->settings.session.context_tokens;

    return prompt->context_tokens >= 0 && prompt->context_tokens < all ? prompt->context_tokens
                                                                       : all;
}

/* Without memory for it the turn goes without. */
static bool add_memory(struct buf *out, const struct session_part *summary)
{
    if (summary->len == 0)
        return false;
    buf_adds(out, MEMORY_PREFACE);
    buf_add(out, summary->s, summary->len);
    if (!buf_ok(out))
        buf_clear(out);
    return out->len > 0;
}

struct model_question chat_question(const struct app *app, const struct chat_input *in,
                                    const struct session_begun *begun, const struct log *log,
                                    struct buf *memory, int64_t *estimated)
{
    const struct prompt *prompt = prompt_of(app, begun->prompt, log);
    int64_t answer = prompt->options.token_limit ? prompt->options.token_limit
                                                 : app->settings.model.token_limit;
    int64_t fixed = window_estimate(prompt->text, strlen(prompt->text)) +
                    window_estimate(in->text, in->text_len);
    int64_t past;
    size_t fit;

    if (app->settings.session.memory == MEMORY_SUMMARY && add_memory(memory, &begun->summary))
        fixed += window_estimate(memory->data, memory->len);
    fit = window_fit(&app->scale, begun->window, begun->window_count,
                     context_of(app, prompt) - answer - window_tokens(&app->scale, fixed), &past);
    *estimated = fixed + past;
    return (struct model_question){
        .system = prompt->text,
        .memory = { memory->data, memory->len },
        .window = begun->window + (begun->window_count - fit),
        .window_count = fit,
        .user = in->text,
        .user_len = in->text_len,
        .options = &prompt->options,
        .log = log,
    };
}

/* Half of the window is folded at once, for it moves on with each turn. */
int64_t chat_question_fold(const struct model_question *q, const struct session_begun *begun)
{
    int64_t shown = (int64_t)q->window_count;
    int64_t out = begun->number - 1 - shown;

    return out > begun->summary_turns ? out + shown / 2 : 0;
}
