/* confabctl tasks list | show | retry | retry-all | cancel | delete: single tasks. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "confabctl/ctl.h"
#include "lib/base/clock.h"
#include "lib/chat/task_admin.h"

/* --- every tenant's tasks, page by page --------------------------------------------------------- */

enum { TENANTS_MAX = 10000 };

struct walk {
    struct ctl       *ctl;
    struct task_query query;
    int64_t           left;                     /* how many more are wanted */
    const char       *code;                     /* of failed tasks; NULL = any */
    char             *tenant[TENANTS_MAX];      /* owned */
    size_t            tenants;
    char              next[TASK_CURSOR_SIZE];
    char              id[TASK_PAGE_MAX][KEYS_TASK_MAX + 1];     /* of the page, for retry-all */
    size_t            ids;
    int64_t           retried, refused;
};

static void add_tenant(struct walk *w, const char *name)
{
    char *copy = w->tenants < TENANTS_MAX ? strdup(name) : NULL;

    if (copy)
        w->tenant[w->tenants++] = copy;
}

static void on_tenants(void *arg, const struct redisReply *reply, const struct err *e)
{
    struct walk *w = arg;

    for (size_t i = 0; i < redis_reply_count(reply); i++)
        add_tenant(w, redis_reply_text(redis_reply_at(reply, i)).s);
    ctl_end(w->ctl, e);
}

/* Those that have tasks, or the one that was named. */
static int find_tenants(struct walk *w, const char *only)
{
    static const struct redis_arg argv[] = { REDIS_LIT("ZRANGE"), REDIS_LIT(KEYS_TASKS_TENANTS),
                                             REDIS_LIT("0"), REDIS_LIT("-1") };

    if (only) {
        add_tenant(w, only);
        return EXIT_SUCCESS;
    }
    if (!redis_command(w->ctl->redis, 0, argv, 4, on_tenants, w))
        return ctl_failed(w->ctl);
    return ctl_wait(w->ctl);
}

/* Calls on_page for page after page until as many as wanted were seen, and then_do after each. */
static int walk(struct walk *w, const char *only, task_listed_fn *on_page,
                int (*then_do)(struct walk *w))
{
    int status = ctl_redis(w->ctl) ? find_tenants(w, only) : ctl_failed(w->ctl);

    for (size_t i = 0; status == EXIT_SUCCESS && i < w->tenants; i++) {
        w->query.tenant = w->tenant[i];
        w->next[0] = '\0';
        do {
            w->query.cursor = w->next;
            w->query.limit = w->left < TASK_PAGE_MAX ? w->left : TASK_PAGE_MAX;
            status = w->left > 0 && task_list(w->ctl->redis, &w->query, on_page, w)
                         ? ctl_wait(w->ctl) : ctl_failed(w->ctl);
            if (status == EXIT_SUCCESS && then_do)
                status = then_do(w);
        } while (status == EXIT_SUCCESS && *w->next && w->left > 0);
        if (w->left <= 0)
            break;
    }
    while (w->tenants > 0)
        free(w->tenant[--w->tenants]);
    return status;
}

/* --- list --------------------------------------------------------------------------------------- */

static void print_line(const struct task *t)
{
    char created[CLOCK_RFC3339_SIZE];

    printf("%-32s %-8s %3" PRId64 " %s %-28s %-10s %s\n", t->id, task_status_name(t->status),
           t->attempts, clock_rfc3339(t->created_at, created),
           *t->error_code ? t->error_code : "-", t->tenant, t->session);
}

static void on_lines(void *arg, const struct task *tasks, size_t count, const char *next,
                     const struct err *e)
{
    struct walk *w = arg;

    for (size_t i = 0; i < count; i++)
        print_line(&tasks[i]);
    w->left -= (int64_t)count;
    snprintf(w->next, sizeof(w->next), "%s", next);
    ctl_end(w->ctl, e && e->code == ERR_NO_SESSION ? NULL : e);     /* another tenant may have it */
}

static bool read_status(const char *name, int *status, struct err *e)
{
    for (int s = TASK_PENDING; s <= TASK_FAILED; s++)
        if (strcmp(name, task_status_name((enum task_status)s)) == 0) {
            *status = s;
            return true;
        }
    err_field(e, "--status", "has to be pending, running, finished or failed");
    return false;
}

static bool read_limit(const char *text, int64_t *n, struct err *e)
{
    char *end;

    *n = strtoll(text, &end, 10);
    if (!*end && *n >= 1)
        return true;
    err_field(e, "--limit", "has to be a number from 1 on");
    return false;
}

int ctl_tasks_list(struct ctl *c, int argc, char **argv)
{
    static const struct option options[] = {
        { "tenant", required_argument, NULL, 't' }, { "status", required_argument, NULL, 's' },
        { "session", required_argument, NULL, 'i' }, { "limit", required_argument, NULL, 'n' },
        { 0 },
    };
    struct walk w = { .ctl = c, .query.status = -1, .left = 50 };
    const char *tenant = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool ok = option != '?';

        if (option == 't')
            tenant = optarg;
        else if (option == 's')
            ok = read_status(optarg, &w.query.status, &c->err);
        else if (option == 'n')
            ok = read_limit(optarg, &w.left, &c->err);
        else if (option == 'i')
            w.query.session = optarg;
        if (!ok)
            return CTL_USAGE;
    }
    if (optind != argc)
        return CTL_USAGE;
    w.query.session_len = w.query.session ? strlen(w.query.session) : 0;
    return walk(&w, tenant, on_lines, NULL);
}

/* --- show --------------------------------------------------------------------------------------- */

static void on_found(void *arg, const struct task *t, const struct err *e)
{
    struct ctl *c = arg;
    struct buf json;

    if (!e) {
        buf_init(&json, 65536);
        if (task_json(&json, t, c->settings.tasks.doc_folder))
            printf("%s\n", json.data);
        buf_close(&json);
    }
    ctl_end(c, e);
}

/* One call for each id; goes on after one that failed. */
static int each(struct ctl *c, int argc, char **argv,
                struct task_call *(*begin)(struct ctl *c, const char *id))
{
    int status = EXIT_SUCCESS;

    if (argc < 2)
        return CTL_USAGE;
    for (int i = 1; i < argc; i++) {
        if (!ctl_redis(c) || !begin(c, argv[i]))
            return ctl_failed(c);
        loop_run(c->loop);
        if (err_wrap(&c->err, "%s", argv[i]) != ERR_OK)
            status = ctl_failed(c);
    }
    return status;
}

static struct task_call *begin_show(struct ctl *c, const char *id)
{
    return task_find(c->redis, "", id, on_found, c);
}

int ctl_tasks_show(struct ctl *c, int argc, char **argv)
{
    return each(c, argc, argv, begin_show);
}

/* --- retry, cancel, delete ---------------------------------------------------------------------- */

static void on_changed(void *arg, const struct err *e)
{
    ctl_end(arg, e);
}

static struct task_call *begin_retry(struct ctl *c, const char *id)
{
    return task_retry(c->redis, "", id, on_changed, c);
}

static struct task_call *begin_cancel(struct ctl *c, const char *id)
{
    return task_remove(c->redis, &c->settings, "", id, TASK_CANCEL, on_changed, c);
}

static struct task_call *begin_delete(struct ctl *c, const char *id)
{
    return task_remove(c->redis, &c->settings, "", id, TASK_DELETE, on_changed, c);
}

int ctl_tasks_retry(struct ctl *c, int argc, char **argv)
{
    return each(c, argc, argv, begin_retry);
}

int ctl_tasks_cancel(struct ctl *c, int argc, char **argv)
{
    return each(c, argc, argv, begin_cancel);
}

int ctl_tasks_delete(struct ctl *c, int argc, char **argv)
{
    return each(c, argc, argv, begin_delete);
}

/* --- retry-all ---------------------------------------------------------------------------------- */

static bool is_wanted(const struct walk *w, const struct task *t)
{
    return w->code ? strcmp(t->error_code, w->code) == 0 : strcmp(t->error_code, "cancelled") != 0;
}

static void on_failed(void *arg, const struct task *tasks, size_t count, const char *next,
                      const struct err *e)
{
    struct walk *w = arg;

    w->ids = 0;
    for (size_t i = 0; i < count; i++)
        if (is_wanted(w, &tasks[i]))
            strcpy(w->id[w->ids++], tasks[i].id);
    snprintf(w->next, sizeof(w->next), "%s", next);
    ctl_end(w->ctl, e);
}

/* Not what became of it meanwhile, nor a dialog that is gone, is a reason to stop. */
static void on_retried(void *arg, const struct err *e)
{
    struct walk *w = arg;
    bool refused = e && (e->code == ERR_TASK_STATE || e->code == ERR_NO_TASK ||
                         e->code == ERR_SESSION_GONE);

    if (refused)
        w->refused++;
    else if (!e)
        w->retried++;
    ctl_end(w->ctl, refused ? NULL : e);
}

static int retry_page(struct walk *w)
{
    int status = EXIT_SUCCESS;

    for (size_t i = 0; status == EXIT_SUCCESS && i < w->ids; i++)
        status = task_retry(w->ctl->redis, w->query.tenant, w->id[i], on_retried, w)
                     ? ctl_wait(w->ctl) : ctl_failed(w->ctl);
    return status;
}

int ctl_tasks_retry_all(struct ctl *c, int argc, char **argv)
{
    static const struct option options[] = {
        { "tenant", required_argument, NULL, 't' }, { "code", required_argument, NULL, 'c' }, { 0 },
    };
    struct walk w = { .ctl = c, .query.status = TASK_FAILED, .left = INT64_MAX };
    const char *tenant = NULL;
    int option, status;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option == 't')
            tenant = optarg;
        else if (option == 'c')
            w.code = optarg;
        else
            return CTL_USAGE;
    if (optind != argc)
        return CTL_USAGE;
    status = walk(&w, tenant, on_failed, retry_page);
    printf("%" PRId64 " tried again, %" PRId64 " not: their dialogs are gone\n", w.retried,
           w.refused);
    return status;
}
