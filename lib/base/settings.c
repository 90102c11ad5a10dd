#include "lib/base/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/settings_model.h"

#ifndef CONFAB_PKGDATADIR
#define CONFAB_PKGDATADIR "/usr/share/confab"
#endif

#define MS     ((int64_t)1)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    ((int64_t)1024)
#define MIB    (1024 * KIB)

#define AT(field) offsetof(struct settings, field)

/* Helps for the rows below: section, name, environment, field; default; bounds; words. */
#define TEXT(sec, nam, var, field, def, words) \
    { .section = sec, .name = nam, .env = var, .type = CONF_TEXT, .offset = AT(field), \
      .dflt = def, .min = 0, .max = 4096, .help = words }
#define SECRET(sec, nam, var, field, def, words) \
    { .section = sec, .name = nam, .env = var, .type = CONF_SECRET, .offset = AT(field), \
      .dflt = def, .min = 0, .max = 8192, .help = words }
#define NUMBER(kind, sec, nam, var, field, def, low, high, words) \
    { .section = sec, .name = nam, .env = var, .type = kind, .offset = AT(field), \
      .dflt = def, .min = low, .max = high, .help = words }
#define CHOICE(sec, nam, var, field, def, words_of, words) \
    { .section = sec, .name = nam, .env = var, .type = CONF_CHOICE, .offset = AT(field), \
      .dflt = def, .choices = words_of, .help = words }

const struct conf_row settings_rows[] = {
    NUMBER(CONF_INT, "server", "children", "FCGI_CHILDREN", server.children,
           "2", 1, 256, "how many confab-fcgi processes share the work"),
    NUMBER(CONF_INT, "server", "max_requests", "MAX_REQUESTS", server.max_requests,
           "0", 0, 1000000,
           "places for requests that one process brings into the pool; "
           "0 = what its open files allow, at most 8000"),
    NUMBER(CONF_SIZE, "server", "max_body", "MAX_BODY", server.max_body,
           "1m", KIB, 64 * MIB, "largest request body"),
    NUMBER(CONF_SIZE, "server", "max_user_text", "MAX_USER_TEXT", server.max_user_text,
           "32k", 1, 16 * MIB, "longest user_text"),
    NUMBER(CONF_SIZE, "server", "max_unsent", "MAX_UNSENT", server.max_unsent,
           "256k", 4 * KIB, 64 * MIB,
           "bytes that wait for a slow reader before the model is paused"),
    NUMBER(CONF_TIME, "server", "request_read_timeout", "REQUEST_READ_TIMEOUT",
           server.request_read_timeout, "5s", 100 * MS, MINUTE,
           "give up on a request that does not arrive whole"),
    NUMBER(CONF_TIME, "server", "keepalive", "STREAM_KEEPALIVE", server.keepalive,
           "15s", 100 * MS, 10 * MINUTE, "send a comment line after this long a silence in a stream"),
    NUMBER(CONF_TIME, "server", "drain_timeout", "DRAIN_TIMEOUT", server.drain_timeout,
           "5m", 0, DAY, "how long running requests may go on after SIGTERM"),
    TEXT("server", "runtime_dir", "CONFAB_RUNTIME_DIR", server.runtime_dir,
         "/run/confab", "where the processes of a pool keep their shared scoreboard"),
    TEXT("server", "prompts_dir", "CONFAB_PROMPTS_DIR", server.prompts_dir,
         CONFAB_PKGDATADIR "/prompts", "folder of the system messages, one NAME.md each"),
    TEXT("server", "cors_origins", "CORS_ORIGINS", server.cors_origins,
         NULL, "web origins that may call the API, separated by blanks or commas; * for any"),
    SECRET("server", "api_key", "API_KEY", server.api_key,
           NULL, "the key that callers send as Authorization: Bearer; without one the API is open"),
    TEXT("server", "api_keys_file", "API_KEYS_FILE", server.api_keys_file, NULL,
         "file of keys, one a line: TENANT[:NAME] SHA256-OF-THE-KEY [LIMIT=NUMBER]..."),
    CHOICE("server", "access", "API_ACCESS", server.access, "auto", "auto|keys|open",
           "auto: open to all until there is a first key; keys: never open; open: needs none"),
    CHOICE("server", "log_level", "LOG_LEVEL", server.log_level,
           "info", "debug|info|warn|error", "the least level that is logged"),

    NUMBER(CONF_INT, "limits", "requests_per_minute", "KEY_REQUESTS_PER_MINUTE",
           limits.requests_per_minute, "0", 0, 1000000,
           "requests a minute of each key that has no limit of its own; 0 = no limit"),
    NUMBER(CONF_INT, "limits", "in_flight", "KEY_IN_FLIGHT", limits.in_flight,
           "0", 0, 1000000, "turns of such a key that are answered at once; 0 = no limit"),
    NUMBER(CONF_INT, "limits", "tokens_per_day", "KEY_TOKENS_PER_DAY", limits.tokens_per_day,
           "0", 0, 1000000000000, "tokens of such a key in a day (UTC); 0 = no limit"),
    NUMBER(CONF_INT, "limits", "reserve_tokens", "KEY_RESERVE_TOKENS", limits.reserve_tokens,
           "1000", 0, 10000000,
           "tokens set aside for a turn, beside its text's, until the model reports its use"),
    NUMBER(CONF_TIME, "limits", "usage_ttl", "USAGE_TTL", limits.usage_ttl,
           "400d", DAY, 3650 * DAY, "how long is kept what each key has used in a day"),
    NUMBER(CONF_TIME, "limits", "key_cache", "KEY_CACHE", limits.key_cache,
           "3s", 10 * MS, MINUTE, "a key that was revoked is refused after this long at the latest"),

    SECRET("redis", "url", "REDIS_URL", redis.url,
           "redis://127.0.0.1:6379/0", "redis://[user:pass@]host:port/db, unix:///path?db=N, or, to "
           "ask sentinels, "
           "sentinel://[user:pass@]host:port,host:port/master/db?sentinel_auth=user:pass"),
    NUMBER(CONF_TIME, "redis", "timeout", "REDIS_TIMEOUT", redis.timeout,
           "800ms", 50 * MS, MINUTE, "give up on one command"),
    NUMBER(CONF_TIME, "redis", "connect_timeout", "REDIS_CONNECT_TIMEOUT", redis.connect_timeout,
           "2s", 50 * MS, MINUTE, "give up on one attempt to connect"),
    CHOICE("redis", "durability", "REDIS_DURABILITY", redis.durability,
           "require", "require|warn",
           "what to do when Redis would not keep what it has acknowledged"),
    NUMBER(CONF_INT, "redis", "min_replicas", "REDIS_MIN_REPLICAS", redis.min_replicas,
           "0", 0, 16, "replicas that must have a turn or a task before it is acknowledged"),
    NUMBER(CONF_TIME, "redis", "replica_timeout", "REDIS_REPLICA_TIMEOUT", redis.replica_timeout,
           "500ms", 10 * MS, MINUTE, "give up on the replicas, if any must have what is written"),

    { .section = "model", .name = "base_url", .env = "OPENAI_BASE_URL", .type = CONF_TEXT,
      .offset = AT(model.base_url), .given = AT(model.base_url_given), .max = 2048,
      .dflt = "https://api.openai.com/v1",
      .help = "where the model is asked: any server that speaks OpenAI's chat completions" },
    SECRET("model", "api_key", "OPENAI_API_KEY", model.api_key, NULL, "the key for that server"),
    TEXT("model", "name", "OPENAI_MODEL", model.name, "gpt-4o-mini", "the model to ask"),
    TEXT("model", "auth_header", "MODEL_AUTH_HEADER", model.auth_header, "Authorization",
         "header of the key; in any but Authorization the key stands bare, as Azure's api-key wants"),
    TEXT("model", "token_limit_field", "MODEL_TOKEN_LIMIT_FIELD", model.token_limit_field,
         "max_completion_tokens", "max_completion_tokens, or max_tokens for older servers"),
    NUMBER(CONF_INT, "model", "token_limit", "MODEL_TOKEN_LIMIT", model.token_limit,
           "0", 0, 10000000, "longest answer in tokens; 0 = not sent"),
    TEXT("model", "temperature", "MODEL_TEMPERATURE", model.temperature,
         NULL, "0 to 2; empty = not sent"),
    TEXT("model", "system_role", "MODEL_SYSTEM_ROLE", model.system_role,
         "system", "role of the system message: system or developer"),
    CHOICE("model", "usage", "MODEL_USAGE", model.usage, "ask", "ask|omit",
           "whether the stream is asked to report its use of tokens"),
    TEXT("model", "ca_file", "MODEL_CA_FILE", model.ca_file,
         NULL, "certificates to trust instead of the system's"),
    NUMBER(CONF_TIME, "model", "connect_timeout", "MODEL_CONNECT_TIMEOUT", model.connect_timeout,
           "5s", 100 * MS, 10 * MINUTE, "give up on connecting"),
    NUMBER(CONF_TIME, "model", "first_token_timeout", "MODEL_FIRST_TOKEN_TIMEOUT",
           model.first_token_timeout, "60s", 100 * MS, HOUR, "give up on the first byte"),
    NUMBER(CONF_TIME, "model", "idle_timeout", "MODEL_IDLE_TIMEOUT", model.idle_timeout,
           "60s", 100 * MS, HOUR, "give up after this long without a byte"),
    NUMBER(CONF_TIME, "model", "turn_timeout", "MODEL_TURN_TIMEOUT", model.turn_timeout,
           "300s", 100 * MS, HOUR, "give up on the whole turn"),
    NUMBER(CONF_INT, "model", "retries", "MODEL_RETRIES", model.retries,
           "2", 0, 10, "further tries before the first byte"),
    NUMBER(CONF_TIME, "model", "retry_after_max", "MODEL_RETRY_AFTER_MAX", model.retry_after_max,
           "20s", 0, HOUR, "a longer Retry-After is passed on instead of waited for"),
    NUMBER(CONF_SIZE, "model", "max_answer", "MODEL_MAX_ANSWER", model.max_answer,
           "1m", KIB, 64 * MIB, "longest answer"),
    TEXT("model", "fallbacks", "OPENAI_FALLBACKS", model.fallbacks, NULL,
         "names of the upstreams to ask when this one fails, in order; "
         "empty = every section [upstream \"NAME\"] of the file"),
    NUMBER(CONF_TIME, "model", "cool_down", "MODEL_COOL_DOWN", model.cool_down,
           "30s", 0, HOUR, "an upstream that failed is asked after the others this long"),
    CHOICE("model", "demo", "DEMO", model.demo, "off", "off|fallback",
           "fallback: a built-in model answers while neither a key nor a URL is given"),

    NUMBER(CONF_TIME, "session", "ttl", "SESSION_TTL", session.ttl,
           "30d", 0, 3650 * DAY, "forget a session this long after its last turn; 0 = never"),
    NUMBER(CONF_TIME, "session", "max_age", "SESSION_MAX_AGE", session.max_age,
           "0", 0, 3650 * DAY,
           "forget a session this long after it was made, whatever its last turn; 0 = never"),
    NUMBER(CONF_INT, "session", "context_messages", "CONTEXT_MESSAGES", session.context_messages,
           "40", 0, 10000, "most messages of the past that the model is shown"),
    NUMBER(CONF_INT, "session", "context_tokens", "CONTEXT_TOKENS", session.context_tokens,
           "8000", 0, 10000000,
           "most tokens of a turn: prompt, past, message and token_limit; estimated, and "
           "corrected by what the model reports"),
    CHOICE("session", "memory", "SESSION_MEMORY", session.memory, "window", "window|summary",
           "summary: what no longer fits is folded into a summary by the model, in the background"),
    NUMBER(CONF_INT, "session", "summary_tokens", "SUMMARY_TOKENS", session.summary_tokens,
           "500", 50, 10000, "longest summary of what no longer fits"),
    NUMBER(CONF_TIME, "session", "summary_timeout", "SUMMARY_TIMEOUT", session.summary_timeout,
           "60s", 100 * MS, 10 * MINUTE, "give up on writing a summary, until a later turn"),
    NUMBER(CONF_TIME, "session", "lease", "SESSION_LEASE", session.lease,
           "15s", 500 * MS, 5 * MINUTE, "a dead process holds a session at most this long"),
    CHOICE("session", "busy", "SESSION_BUSY", session.busy, "wait", "wait|reject",
           "what a message does while the one before it is being answered"),
    NUMBER(CONF_TIME, "session", "wait", "SESSION_WAIT", session.wait,
           "60s", 0, HOUR, "longest wait for the message before"),
    NUMBER(CONF_TIME, "session", "idempotency_ttl", "IDEMPOTENCY_TTL", session.idempotency_ttl,
           "24h", MINUTE, 30 * DAY, "how long an Idempotency-Key is remembered"),
    CHOICE("session", "on_disconnect", "ON_DISCONNECT", session.on_disconnect,
           "cancel", "cancel|finish", "what becomes of a turn whose client has left"),
    NUMBER(CONF_TIME, "session", "save_timeout", "SAVE_TIMEOUT", session.save_timeout,
           "30s", 100 * MS, 10 * MINUTE, "keep trying this long to save an answer"),

    NUMBER(CONF_INT, "tasks", "concurrency", "JOBRUNNER_CONCURRENCY", tasks.concurrency,
           "16", 1, 1000, "tasks in flight in one confab-jobrunner"),
    NUMBER(CONF_TIME, "tasks", "lease", "TASK_LEASE", tasks.lease,
           "2m", SECOND, HOUR, "what a dead runner left is taken over after this long"),
    NUMBER(CONF_INT, "tasks", "attempts", "TASK_ATTEMPTS", tasks.attempts,
           "25", 1, 1000, "tries before a task is failed"),
    NUMBER(CONF_TIME, "tasks", "retry_base", "TASK_RETRY_BASE", tasks.retry_base,
           "5s", 10 * MS, HOUR, "wait before the second try; it doubles each time"),
    NUMBER(CONF_TIME, "tasks", "retry_max", "TASK_RETRY_MAX", tasks.retry_max,
           "1h", 10 * MS, DAY, "longest wait between tries"),
    NUMBER(CONF_TIME, "tasks", "fault_grace", "TASK_FAULT_GRACE", tasks.fault_grace,
           "24h", 0, 30 * DAY, "this long, faults of the connection or the server cost no try"),
    NUMBER(CONF_TIME, "tasks", "canary_base", "TASK_CANARY_BASE", tasks.canary_base,
           "1m", 10 * MS, DAY, "while a fault of configuration pauses the queue, wait so long before "
           "one task tries again; it doubles each time"),
    NUMBER(CONF_TIME, "tasks", "canary_max", "TASK_CANARY_MAX", tasks.canary_max,
           "10m", 10 * MS, DAY, "longest wait between such tries"),
    NUMBER(CONF_INT, "tasks", "crashes_alone", "TASK_CRASHES_ALONE", tasks.crashes_alone,
           "3", 1, 1000, "a task that was in flight in two crashes runs alone; so many more fail it"),
    NUMBER(CONF_TIME, "tasks", "ttl", "TASK_TTL", tasks.ttl,
           "30d", 0, 3650 * DAY, "forget a finished task's record after this long; 0 = never"),
    NUMBER(CONF_TIME, "tasks", "stop_timeout", "TASK_STOP_TIMEOUT", tasks.stop_timeout,
           "30s", 0, HOUR, "how long running tasks may go on after SIGTERM"),
    TEXT("tasks", "doc_folder", "DOC_FOLDER", tasks.doc_folder, "/var/lib/confab/documents",
         "where documents go as HTML files when Google is not set up"),

    TEXT("google", "credentials", "GOOGLE_APPLICATION_CREDENTIALS", google.credentials,
         NULL, "path of the JSON file Google hands out: service_account or authorized_user"),
    TEXT("google", "folder_id", "GOOGLE_DRIVE_FOLDER_ID", google.folder_id,
         NULL, "id of the Drive folder where the documents appear"),
    TEXT("google", "staging_folder_id", "GOOGLE_STAGING_FOLDER_ID", google.staging_folder_id,
         NULL, "id of the folder for documents that are not ready; empty = made in the same drive"),
    TEXT("google", "api_root", "GOOGLE_API_ROOT", google.api_root,
         "https://www.googleapis.com", "where the Drive API is"),
    TEXT("google", "scope", "GOOGLE_SCOPE", google.scope,
         "https://www.googleapis.com/auth/drive", "OAuth scope to ask for"),
    TEXT("google", "subject", "GOOGLE_SUBJECT", google.subject,
         NULL, "user whom the service account acts for"),
    NUMBER(CONF_TIME, "google", "timeout", "GOOGLE_TIMEOUT", google.timeout,
           "15s", 100 * MS, 10 * MINUTE, "give up on one call"),
    NUMBER(CONF_TIME, "google", "upload_timeout", "GOOGLE_UPLOAD_TIMEOUT", google.upload_timeout,
           "40s", 100 * MS, 10 * MINUTE, "give up on one upload"),
    NUMBER(CONF_INT, "google", "document_max", "GOOGLE_DOCUMENT_MAX", google.document_max,
           "900000", 1000, 1000000,
           "characters of a document; a longer dialog becomes several, which are numbered"),
    NUMBER(CONF_INT, "google", "writes_per_minute", "GOOGLE_WRITES_PER_MINUTE",
           google.writes_per_minute, "0", 0, 1000000,
           "most writes of all runners together; a document takes three; 0 = not limited"),
    NUMBER(CONF_TIME, "google", "orphan_age", "GOOGLE_ORPHAN_AGE", google.orphan_age,
           "1d", 0, 365 * DAY, "trash documents that no task knows, this long after a crash left "
           "them in the staging folder; 0 = never"),
};

const size_t settings_count = sizeof(settings_rows) / sizeof(*settings_rows);

/* --- what one row alone cannot say ----------------------------------------------------------- */

struct check { FILE *report; bool ok; };

static void need(struct check *c, bool holds, const char *words)
{
    if (holds)
        return;
    fprintf(c->report, "%s\n", words);
    c->ok = false;
}

static bool is_http(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static void check_google(struct check *c, const struct settings *s)
{
    int64_t longest = s->google.timeout > s->google.upload_timeout ? s->google.timeout
                                                                   : s->google.upload_timeout;

    if (!settings_use_google(s))
        return;
    need(c, *s->google.credentials,
         "GOOGLE_APPLICATION_CREDENTIALS ([google] credentials): is missing, "
         "while other google settings are given");
    need(c, *s->google.folder_id,
         "GOOGLE_DRIVE_FOLDER_ID ([google] folder_id): is missing, "
         "while other google settings are given");
    need(c, is_http(s->google.api_root),
         "GOOGLE_API_ROOT ([google] api_root): has to begin with http:// or https://");
    /* The lease is renewed at a third of it, and a call is only begun when what remains
     * of it is longer than the call may take. */
    need(c, s->tasks.lease >= 3 * longest,
         "TASK_LEASE ([tasks] lease): has to be at least three times GOOGLE_TIMEOUT "
         "and GOOGLE_UPLOAD_TIMEOUT");
    need(c, s->google.orphan_age == 0 || s->google.orphan_age >= 3 * s->tasks.lease,
         "GOOGLE_ORPHAN_AGE ([google] orphan_age): has to be 0 or at least three times TASK_LEASE");
}

static bool check(const struct settings *s, FILE *report)
{
    struct check c = { report, true };
    int64_t wait = s->redis.timeout + (s->redis.min_replicas ? s->redis.replica_timeout : 0);

    check_google(&c, s);
    need(&c, s->server.max_user_text < s->server.max_body,
         "MAX_USER_TEXT ([server] max_user_text): has to be less than MAX_BODY");
    need(&c, s->session.lease >= 3 * wait,
         "SESSION_LEASE ([session] lease): has to be at least three times REDIS_TIMEOUT "
         "(and REDIS_REPLICA_TIMEOUT, with REDIS_MIN_REPLICAS), "
         "or it ends before it can be renewed");
    need(&c, s->session.save_timeout >= wait,
         "SAVE_TIMEOUT ([session] save_timeout): has to be at least REDIS_TIMEOUT "
         "(and REDIS_REPLICA_TIMEOUT, with REDIS_MIN_REPLICAS)");
    need(&c, s->tasks.lease >= 3 * wait,
         "TASK_LEASE ([tasks] lease): has to be at least three times REDIS_TIMEOUT "
         "(and REDIS_REPLICA_TIMEOUT, with REDIS_MIN_REPLICAS), "
         "or it ends before it can be renewed");
    need(&c, s->tasks.retry_base <= s->tasks.retry_max,
         "TASK_RETRY_MAX ([tasks] retry_max): has to be at least TASK_RETRY_BASE");
    need(&c, s->tasks.canary_base <= s->tasks.canary_max,
         "TASK_CANARY_MAX ([tasks] canary_max): has to be at least TASK_CANARY_BASE");
    return c.ok;
}

/* Two descriptors a request, the client's and the model's; and some for ourselves, connections that
 * the web server keeps, and requests that happen to take places of a sibling. */
static int64_t requests_by_open_files(void)
{
    enum { OURS = 320, MOST = 8000 };
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max >= 2 * MOST + OURS)
        return MOST;
    return files.rlim_max > OURS + 2 ? (int64_t)(files.rlim_max - OURS) / 2 : 1;
}

bool settings_load_from(struct settings *s, const char *file, char *const *env, FILE *report)
{
    struct upstream_names names;
    struct conf_row *rows;
    size_t count;
    bool ok;

    *s = (struct settings){ 0 };
    ok = upstream_names_find(&names, file, env, report);
    rows = upstream_rows(&names, &count);
    ok = rows && conf_load(rows, count, s, file, env, report) && ok;
    free(rows);
    if (s->server.max_requests == 0)
        s->server.max_requests = requests_by_open_files();
    /* The rest makes sense only of values that are right. */
    if (!ok)
        return false;
    ok = check(s, report);
    return upstream_settings_finish(s, &names, report) && ok;
}

bool settings_load(struct settings *s)
{
    static const char usual[] = "/etc/confab/confab.ini";
    const char *file = getenv("CONFAB_CONFIG");

    if (!file || !*file)
        file = access(usual, F_OK) == 0 ? usual : NULL;
    return settings_load_from(s, file, environ, stderr);
}

void settings_free(struct settings *s)
{
    upstream_settings_free(s);
    conf_free(settings_rows, settings_count, s);
}

bool settings_has_model(const struct settings *s)
{
    return s->model.base_url_given || *s->model.api_key;
}

bool settings_use_demo(const struct settings *s)
{
    return s->model.demo == DEMO_FALLBACK && !settings_has_model(s);
}

bool settings_use_google(const struct settings *s)
{
    return *s->google.credentials || *s->google.folder_id || *s->google.staging_folder_id ||
           *s->google.subject;
}
