#include "lib/base/settings_model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct upstream_settings, model.field)
#define ENV "UPSTREAM_NAME"
#define SECTION "upstream \"NAME\""
#define TEXT(kind, nam, var, field, def, words) \
    { .section = SECTION, .name = nam, .env = ENV "_" var, .type = kind, .offset = AT(field), \
      .dflt = def, .max = 8192, .help = words }
#define TIME(nam, var, field, words) \
    { .section = SECTION, .name = nam, .env = ENV "_" var, .type = CONF_TIME, .offset = AT(field), \
      .min = 100, .max = 3600 * 1000, .help = words }

const struct conf_row settings_upstream_rows[] = {
    TEXT(CONF_TEXT, "url", "URL", base_url, NULL, "where it is asked; has to be given"),
    TEXT(CONF_SECRET, "api_key", "API_KEY", api_key, NULL, "its key; not that of [model]"),
    TEXT(CONF_TEXT, "model", "MODEL", name, NULL, "the model to ask; if not given, that of [model]"),
    TEXT(CONF_TEXT, "auth_header", "AUTH_HEADER", auth_header, "Authorization",
         "header of the key"),
    TEXT(CONF_TEXT, "token_limit_field", "TOKEN_LIMIT_FIELD", token_limit_field, NULL,
         "this and what follows: if not given, as in [model]"),
    TEXT(CONF_TEXT, "system_role", "SYSTEM_ROLE", system_role, NULL,
         "role of the system message: system or developer"),
    { .section = SECTION, .name = "usage", .env = ENV "_USAGE", .type = CONF_CHOICE,
      .offset = AT(usage), .given = offsetof(struct upstream_settings, usage_given),
      .choices = "ask|omit", .help = "whether the stream is asked to report its use of tokens" },
    TEXT(CONF_TEXT, "ca_file", "CA_FILE", ca_file, NULL,
         "certificates to trust instead of the system's"),
    TIME("connect_timeout", "CONNECT_TIMEOUT", connect_timeout, "give up on connecting"),
    TIME("first_token_timeout", "FIRST_TOKEN_TIMEOUT", first_token_timeout,
         "give up on the first byte"),
    TIME("idle_timeout", "IDLE_TIMEOUT", idle_timeout, "give up after this long without a byte"),
};

enum { ROWS = sizeof(settings_upstream_rows) / sizeof(*settings_upstream_rows) };
const size_t settings_upstream_count = ROWS;

/* --- which there are ----------------------------------------------------------------------- */

struct finding { struct upstream_names *names; FILE *report; bool ok; };

static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len > 0 && len < UPSTREAM_NAME_SIZE && !name[len];
}

static size_t position(const struct upstream_names *n, const char *name)
{
    size_t i = 0;

    while (i < n->count && strcmp(n->names[i], name) != 0)
        i++;
    return i;
}

static void on_name(void *arg, const char *name)
{
    struct finding *f = arg;
    struct upstream_names *n = f->names;

    if (!f->ok || position(n, name) < n->count)
        return;
    f->ok = is_name(name) && n->count < UPSTREAMS_MAX;
    if (f->ok)
        strcpy(n->names[n->count++], name);
    else if (!is_name(name))
        fprintf(f->report, "[upstream \"%s\"]: a name has 1 to %d of a-z, 0-9 and -\n", name,
                UPSTREAM_NAME_SIZE - 1);
    else
        fprintf(f->report, "[upstream \"%s\"]: is one too many, there may be %d\n", name,
                UPSTREAMS_MAX);
}

/* The words of a list, one by one. */
static bool next_word(const char **list, char word[UPSTREAM_NAME_SIZE + 1])
{
    size_t len;

    *list += strspn(*list, " ,");
    len = strcspn(*list, " ,");
    snprintf(word, UPSTREAM_NAME_SIZE + 1, "%.*s", (int)len, *list);
    *list += len;
    return len > 0;
}

bool upstream_names_find(struct upstream_names *n, const char *file, char *const *env,
                         FILE *report)
{
    static const char variable[] = "OPENAI_FALLBACKS=";
    struct finding f = { n, report, true };
    char word[UPSTREAM_NAME_SIZE + 1];

    n->count = 0;
    if (file)
        conf_names(file, "upstream", on_name, &f);
    for (; *env; env++) {
        const char *list = *env + sizeof(variable) - 1;

        if (strncmp(*env, variable, sizeof(variable) - 1) != 0)
            continue;
        while (next_word(&list, word))
            on_name(&f, word);
    }
    return f.ok;
}

/* --- the rows of each ---------------------------------------------------------------------- */

/* The texts that the rows of one upstream point to. */
struct row_texts { char section[64], env[ROWS][96]; };

static void make_rows(struct conf_row *rows, struct row_texts *t, const char *name, size_t i)
{
    char upper[UPSTREAM_NAME_SIZE];
    size_t base = offsetof(struct settings, upstreams) + i * sizeof(struct upstream_settings);

    for (size_t c = 0; c < sizeof(upper); c++)
        upper[c] = name[c] == '-' ? '_' : (char)toupper((unsigned char)name[c]);
    snprintf(t->section, sizeof(t->section), "upstream \"%s\"", name);
    for (size_t r = 0; r < ROWS; r++) {
        rows[r] = settings_upstream_rows[r];
        snprintf(t->env[r], sizeof(t->env[r]), "UPSTREAM_%s%s", upper,
                 rows[r].env + strlen(ENV));
        rows[r].section = t->section;
        rows[r].env = t->env[r];
        rows[r].offset += base;
        if (rows[r].given)
            rows[r].given += base;
    }
}

struct conf_row *upstream_rows(const struct upstream_names *n, size_t *count)
{
    struct conf_row *rows;
    struct row_texts *texts;

    *count = settings_count + n->count * ROWS;
    rows = calloc(1, *count * sizeof(*rows) + n->count * sizeof(*texts));
    if (!rows)
        return NULL;
    memcpy(rows, settings_rows, settings_count * sizeof(*rows));
    texts = (struct row_texts *)(void *)(rows + *count);
    for (size_t i = 0; i < n->count; i++)
        make_rows(rows + settings_count + i * ROWS, &texts[i], n->names[i], i);
    return rows;
}

/* --- what a row alone cannot say ----------------------------------------------------------- */

struct check { FILE *report; const char *upstream; bool ok; };    /* upstream NULL: [model] */

/* env and name are those in [model]; another is named as its section has it. */
static void need(struct check *c, bool holds, const char *env, const char *name, const char *words)
{
    if (holds)
        return;
    if (c->upstream)
        fprintf(c->report, "[upstream \"%s\"] %s: %s\n", c->upstream,
                strcmp(name, "base_url") == 0 ? "url" : name, words);
    else
        fprintf(c->report, "%s ([model] %s): %s\n", env, name, words);
    c->ok = false;
}

static bool is_http(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* As RFC 9110 has it, but for the rare punctuation. */
static bool is_header_name(const char *s)
{
    return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0';
}

static bool is_temperature(const char *s)
{
    char *end;
    double t = strtod(s, &end);

    return !*s || (*s >= '0' && *s <= '9' && !*end && t <= 2);
}

static bool check(const struct model_settings *m, const char *upstream, FILE *report)
{
    struct check c = { report, upstream, true };

    need(&c, is_http(m->base_url), "OPENAI_BASE_URL", "base_url",
         "has to begin with http:// or https://");
    need(&c, is_header_name(m->auth_header), "MODEL_AUTH_HEADER", "auth_header",
         "is not the name of a header");
    need(&c, strcmp(m->token_limit_field, "max_completion_tokens") == 0 ||
             strcmp(m->token_limit_field, "max_tokens") == 0,
         "MODEL_TOKEN_LIMIT_FIELD", "token_limit_field",
         "has to be max_completion_tokens or max_tokens");
    need(&c, strcmp(m->system_role, "system") == 0 || strcmp(m->system_role, "developer") == 0,
         "MODEL_SYSTEM_ROLE", "system_role", "has to be system or developer");
    need(&c, is_temperature(m->temperature), "MODEL_TEMPERATURE", "temperature",
         "has to be a number from 0 to 2");
    need(&c, m->connect_timeout <= m->turn_timeout && m->first_token_timeout <= m->turn_timeout &&
             m->idle_timeout <= m->turn_timeout,
         "MODEL_TURN_TIMEOUT", "turn_timeout",
         "has to be at least as long as connect_timeout, first_token_timeout and idle_timeout");
    return c.ok;
}

/* What was not given; temperature stays that of [model], which owns it. */
static bool inherit(struct upstream_settings *u, const struct model_settings *from)
{
    struct model_settings m = *from, *own = &u->model;
    struct { char **own, *from; } texts[] = {
        { &own->name, from->name }, { &own->token_limit_field, from->token_limit_field },
        { &own->system_role, from->system_role }, { &own->ca_file, from->ca_file },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (**texts[i].own)
            continue;
        free(*texts[i].own);
        *texts[i].own = strdup(texts[i].from);
        if (!*texts[i].own)
            return false;
    }
    m.base_url = own->base_url;
    m.api_key = own->api_key;
    m.name = own->name;
    m.auth_header = own->auth_header;
    m.token_limit_field = own->token_limit_field;
    m.system_role = own->system_role;
    m.ca_file = own->ca_file;
    m.usage = u->usage_given ? own->usage : from->usage;
    m.connect_timeout = own->connect_timeout ? own->connect_timeout : from->connect_timeout;
    m.first_token_timeout = own->first_token_timeout ? own->first_token_timeout
                                                     : from->first_token_timeout;
    m.idle_timeout = own->idle_timeout ? own->idle_timeout : from->idle_timeout;
    *own = m;
    return true;
}

static void swap(struct upstream_settings *a, struct upstream_settings *b)
{
    struct upstream_settings other = *a;

    *a = *b;
    *b = other;
}

/* As [model] fallbacks lists them; those that it does not list end up behind the count, where
 * upstream_settings_free still finds them. */
static bool put_in_order(struct settings *s, FILE *report)
{
    const char *list = s->model.fallbacks;
    char word[UPSTREAM_NAME_SIZE + 1];
    size_t done = 0;

    if (!*list)
        return true;
    while (next_word(&list, word)) {
        size_t at = done;

        while (at < s->upstream_count && strcmp(s->upstreams[at].name, word) != 0)
            at++;
        if (at == s->upstream_count) {
            fprintf(report, "OPENAI_FALLBACKS ([model] fallbacks): there is no [upstream \"%s\"], "
                            "or it is named twice\n", word);
            return false;
        }
        swap(&s->upstreams[done++], &s->upstreams[at]);
    }
    s->upstream_count = done;
    return true;
}

bool upstream_settings_finish(struct settings *s, const struct upstream_names *n, FILE *report)
{
    bool ok = check(&s->model, NULL, report);

    for (size_t i = 0; i < n->count; i++)
        strcpy(s->upstreams[i].name, n->names[i]);
    s->upstream_count = n->count;
    if (!put_in_order(s, report))
        return false;
    if (s->upstream_count > 0 && !settings_has_model(s)) {
        fprintf(report, "OPENAI_BASE_URL ([model] base_url): has to be given too, or "
                        "OPENAI_API_KEY: [upstream \"%s\"] is asked after it\n",
                s->upstreams[0].name);
        return false;
    }
    for (size_t i = 0; i < s->upstream_count; i++) {
        if (!inherit(&s->upstreams[i], &s->model)) {
            fputs("settings: no memory\n", report);
            return false;
        }
        ok = check(&s->upstreams[i].model, s->upstreams[i].name, report) && ok;
    }
    return ok;
}

void upstream_settings_free(struct settings *s)
{
    for (size_t i = 0; i < UPSTREAMS_MAX; i++)
        conf_free(settings_upstream_rows, ROWS, &s->upstreams[i]);
    s->upstream_count = 0;
}
