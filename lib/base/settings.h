#ifndef CONFAB_SETTINGS_H
#define CONFAB_SETTINGS_H
/* Every setting of confab, read once at start. The table is in settings.c; the text
 * fields are owned by the struct. Times are milliseconds, sizes bytes. */

#include "lib/base/conf.h"

enum on_disconnect { ON_DISCONNECT_CANCEL, ON_DISCONNECT_FINISH };
enum session_memory { MEMORY_WINDOW, MEMORY_SUMMARY };
enum session_busy { SESSION_BUSY_WAIT, SESSION_BUSY_REJECT };
enum demo { DEMO_OFF, DEMO_FALLBACK };
enum durability { DURABILITY_REQUIRE, DURABILITY_WARN };
enum access_rule { ACCESS_AUTO, ACCESS_KEYS, ACCESS_OPEN };
enum usage_wish { MODEL_USAGE_ASK, MODEL_USAGE_OMIT };

/* Whom the model is asked from, and how. */
struct model_settings {
    char   *base_url;               /* with the version, e.g. https://api.openai.com/v1 */
    bool    base_url_given;         /* and not the default */
    char   *api_key;
    char   *name;
    char   *auth_header;            /* "Authorization" (Bearer) or another, e.g. "api-key" (bare) */
    char   *token_limit_field;      /* max_completion_tokens | max_tokens */
    int64_t token_limit;            /* 0 = not sent */
    char   *temperature;            /* "" = not sent */
    char   *system_role;            /* system | developer */
    int     usage;                  /* stream_options.include_usage sent or not */
    char   *ca_file;
    int64_t connect_timeout, first_token_timeout, idle_timeout, turn_timeout;
    int64_t retries;
    int64_t retry_after_max;        /* a longer Retry-After is not waited for */
    int64_t max_answer;
    int     demo;
    char   *fallbacks;              /* names of upstreams, in the order in which they are asked */
    int64_t cool_down;              /* an upstream that failed is asked last this long */
};

enum { UPSTREAMS_MAX = 4, UPSTREAM_NAME_SIZE = 33 };

/* [upstream "NAME"]: asked when those before it fail. It is a whole [model] of its own. */
struct upstream_settings {
    char   name[UPSTREAM_NAME_SIZE];
    bool   usage_given;
    struct model_settings model;
};

struct settings {
    struct {
        int64_t children;               /* how many confab-fcgi multiwatch keeps alive */
        int64_t max_requests;           /* places that one child brings, never 0 */
        int64_t max_body;
        int64_t max_user_text;
        int64_t max_unsent;             /* bytes that wait for a slow reader */
        int64_t request_read_timeout;
        int64_t keepalive;              /* between comments on a silent stream */
        int64_t drain_timeout;
        char   *runtime_dir;            /* scoreboard of the pool */
        char   *prompts_dir;
        char   *cors_origins;           /* separated by spaces or commas; "*" for any */
        char   *api_key;
        char   *api_keys_file;          /* one key's hash a line */
        int     access;                 /* who may call without a key */
        int     log_level;
    } server;
    struct {                            /* of a key that has none of its own; 0 = none */
        int64_t requests_per_minute, in_flight, tokens_per_day;
        int64_t reserve_tokens;         /* set aside for a turn beside its text */
        int64_t usage_ttl;              /* of a day's books */
        int64_t key_cache;              /* how long a key from Redis is remembered */
    } limits;
    struct {
        char   *url;
        int64_t timeout;                /* of one command */
        int64_t connect_timeout;
        int     durability;
        int64_t min_replicas;           /* that have what is acknowledged; 0 = none is asked */
        int64_t replica_timeout;
    } redis;
    struct model_settings model;        /* the upstream that is asked first */
    struct upstream_settings upstreams[UPSTREAMS_MAX];
    size_t upstream_count;
    struct {
        int64_t ttl;                    /* sliding; 0 = keep */
        int64_t max_age;                /* from its creation; 0 = any */
        int64_t context_messages;
        int64_t context_tokens;
        int     memory;
        int64_t summary_tokens;
        int64_t summary_timeout;
        int64_t lease;                  /* of a turn's lock */
        int     busy;
        int64_t wait;                   /* for the turn before */
        int64_t idempotency_ttl;
        int     on_disconnect;
        int64_t save_timeout;           /* all tries of a save together */
    } session;
    struct {
        int64_t concurrency;            /* tasks in flight in one runner */
        int64_t lease;
        int64_t attempts;
        int64_t retry_base, retry_max;
        int64_t fault_grace;            /* connection faults and 5xx cost no attempt this long */
        int64_t canary_base, canary_max;    /* between tries while a fault pauses the queue */
        int64_t crashes_alone;          /* that make a task poison */
        int64_t ttl;                    /* of a finished task's record */
        int64_t stop_timeout;
        char   *doc_folder;
    } tasks;
    struct {
        char   *credentials;            /* path of Google's JSON file */
        char   *folder_id;              /* dialogs folder */
        char   *staging_folder_id;      /* "" = made by us, in the root of the same drive */
        char   *api_root;
        char   *scope;
        char   *subject;
        int64_t timeout;                /* of one call */
        int64_t upload_timeout;
        int64_t document_max;           /* characters of a document; more make several */
        int64_t writes_per_minute;      /* of all runners together; 0 = not limited */
        int64_t orphan_age;             /* of what nobody knows in the staging folder; 0 = keep */
    } google;
};

/* The table, for conf_load, --help and the manual. */
extern const struct conf_row settings_rows[];
extern const size_t          settings_count;

/* The rows of a section [upstream "NAME"], for --help and the manual. */
extern const struct conf_row settings_upstream_rows[];
extern const size_t          settings_upstream_count;

/* conf_load with the table: the file is $CONFAB_CONFIG, else /etc/confab/confab.ini if it
 * exists. Also checks what one row alone cannot say. Faults go to standard error; false if
 * there was any. settings_free is due in either case. */
bool settings_load(struct settings *s);
/* The same from elsewhere, for tests: file may be NULL. */
bool settings_load_from(struct settings *s, const char *file, char *const *env, FILE *report);
void settings_free(struct settings *s);

/* A model is configured: a key or a URL is given. */
bool settings_has_model(const struct settings *s);
/* The demo model answers: demo = fallback, and no model is configured. */
bool settings_use_demo(const struct settings *s);
/* Documents go to Google: any google setting that has no default is given. */
bool settings_use_google(const struct settings *s);

#endif
