/* The settings at the beginning of a prompt's file. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/conf.h"
#include "lib/chat/prompt.h"

#define AT(field) offsetof(struct prompt, field)

static const struct conf_row rows[] = {
    { .name = "model", .type = CONF_TEXT, .offset = AT(model), .min = 1, .max = 200 },
    { .name = "temperature", .type = CONF_NUMBER, .offset = AT(options.temperature),
      .min = 0, .max = 2 },
    { .name = "token_limit", .type = CONF_INT, .offset = AT(options.token_limit),
      .min = 1, .max = 10000000 },
    { .name = "context_tokens", .type = CONF_INT, .offset = AT(context_tokens),
      .min = 0, .max = 10000000 },
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

/* The head is read line by line, each cut off as a string. */
struct head {
    struct prompt *prompt;
    const char    *path;
    int            line;
    bool           seen[ROWS];
};

static char *trim(char *s)
{
    char *end;

    s += strspn(s, " \t\r");
    end = s + strlen(s);
    while (end > s && strchr(" \t\r", end[-1]))
        end--;
    *end = '\0';
    return s;
}

static int row_of(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -1;
}

static enum err_code fault(const struct head *h, struct err *e, const char *name, const char *why)
{
    return err_set(e, ERR_INVALID, "%s:%d: %s%s%s", h->path, h->line, name, *name ? " " : "", why);
}

static enum err_code read_pair(struct head *h, char *line, struct err *e)
{
    char       *colon = strchr(line, ':');
    const char *name, *value, *wrong;
    int         row;

    if (!colon)
        return fault(h, e, "", "is not \"name: value\"");
    *colon = '\0';
    name = trim(line);
    value = trim(colon + 1);
    row = row_of(name);
    if (row < 0)
        return fault(h, e, name, "is not a setting of a prompt "
                                 "(model, temperature, token_limit, context_tokens)");
    if (h->seen[row])
        return fault(h, e, name, "is given twice");
    if (!*value)
        return fault(h, e, name, "has no value");
    h->seen[row] = true;
    wrong = conf_set(&rows[row], h->prompt, value);
    return wrong ? fault(h, e, name, wrong) : ERR_OK;
}

/* The next line as a string of its own, cut out of *rest; NULL at the end. */
static char *next_line(char **rest)
{
    char *line = *rest, *end;

    if (!line || !*line)
        return NULL;
    end = strchr(line, '\n');
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return trim(line);
}

static bool begins_with_dashes(const struct buf *text)
{
    return text->len > 3 && memcmp(text->data, "---", 3) == 0 && strchr("\r\n", text->data[3]);
}

static enum err_code read_lines(struct head *h, char **rest, struct err *e)
{
    char *line;

    next_line(rest);
    for (h->line = 2; (line = next_line(rest)); h->line++) {
        if (strcmp(line, "---") == 0)
            return ERR_OK;
        if (*line && *line != '#' && read_pair(h, line, e) != ERR_OK)
            return ERR_INVALID;
    }
    h->line = 1;
    return fault(h, e, "", "the settings begin here, and no second line of --- ends them");
}

enum err_code prompt_head_read(struct prompt *p, struct buf *text, const char *path,
                               struct err *e)
{
    struct head h = { .prompt = p, .path = path };
    char       *rest = text->data;

    p->options = (struct model_options){ .temperature = -1 };
    p->context_tokens = -1;
    if (!begins_with_dashes(text))
        return ERR_OK;
    if (read_lines(&h, &rest, e) != ERR_OK)
        return ERR_INVALID;
    if (rest)
        rest += strspn(rest, "\r\n");
    buf_consume(text, rest ? (size_t)(rest - text->data) : text->len);
    p->options.model = p->model;
    return ERR_OK;
}
