/* confab-jobrunner: settings, loop, the runner, orderly stop. What it does stands in runner.c. */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/options.h"
#include "lib/base/settings.h"
#include "lib/chat/dialog_html.h"
#include "lib/chat/durability.h"
#include "lib/chat/session.h"
#include "lib/io/pool.h"

#include "jobrunner/runner.h"

#define SCOREBOARD "jobrunner"

enum {
    START_BACKOFF_S = 1,
    HEALTHY_MS = 15 * 1000,         /* a loop that has not turned for longer stands still */
};

struct program {
    struct settings         settings;
    struct loop            *loop;
    struct redis           *redis, *reader;
    struct sessions        *sessions;
    struct store           *store;
    struct pool            *pool;       /* NULL without a place to write it */
    struct runner          *runner;
    struct durability_call *asking;
};

static const struct options_program command_line = {
    .name = "confab-jobrunner",
    .usage = "confab-jobrunner: writes dialogs into documents, as tasks that are never lost\n"
             "\n"
             "As many may run as you like, on as many machines. SIGTERM lets the running tasks end.\n"
             "\n"
             "  --health          exit 0 if the runners that share server.runtime_dir are at work\n",
};

/* --- --health --- */

/* Whoever asks has a slot as well, which does not count. */
static int judge(const struct pool_slot *slots, size_t count)
{
    int64_t now = clock_wall_ms(), oldest = 0;
    size_t runners = 0;

    for (size_t i = 0; i < count; i++) {
        if (slots[i].pid == getpid())
            continue;
        if (runners++ == 0 || slots[i].turned_at < oldest)
            oldest = slots[i].turned_at;
    }
    if (runners == 0) {
        puts("no runner is at work");
        return EXIT_FAILURE;
    }
    printf("%zu at work, the loop turned %" PRId64 " ms ago\n", runners, now - oldest);
    return now - oldest <= HEALTHY_MS ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int health(void)
{
    struct settings s = { 0 };
    struct err e = ERR_NONE;
    struct pool *pool = NULL;
    struct pool_slot slots[POOL_SLOTS];
    int status = EXIT_FAILURE;

    if (settings_load(&s)) {
        if (pool_join(s.server.runtime_dir, SCOREBOARD, &pool, &e) != ERR_OK)
            fprintf(stderr, "confab-jobrunner: %s\n", e.detail);
        else
            status = judge(slots, pool_living(pool, slots, POOL_SLOTS));
        pool_leave(pool);
    }
    settings_free(&s);
    return status;
}

/* --- the program --- */

static enum err_code open_redis(struct program *p, const char *name, int64_t replicas,
                                struct redis **out, struct err *e)
{
    struct redis_options o = {
        .url = p->settings.redis.url,
        .connect_timeout = p->settings.redis.connect_timeout,
        .timeout = p->settings.redis.timeout,
        .name = name,
        .replicas = replicas,
        .replica_timeout = p->settings.redis.replica_timeout,
    };

    return redis_new(p->loop, &o, out, e);
}

/* What it has made when it fails, program_close takes. */
static enum err_code program_open(struct program *p, struct err *e)
{
    struct store_deps store;

    dialog_html_init();
    p->loop = loop_new();
    if (!p->loop)
        return err_set(e, ERR_INTERNAL, "there is no event loop to be had");
    loop_raise_file_limit();
    if (open_redis(p, "confab-jobrunner", p->settings.redis.min_replicas, &p->redis, e) != ERR_OK ||
        open_redis(p, "confab-jobrunner-reader", 0, &p->reader, e) != ERR_OK)
        return e->code;
    store = (struct store_deps){ p->loop, p->redis, &p->settings };
    if (store_open(&store, &p->store, e) != ERR_OK)
        return e->code;
    p->sessions = sessions_new(p->loop, p->redis, NULL, &p->settings);
    return p->sessions ? ERR_OK : err_set(e, ERR_INTERNAL, "out of memory");
}

static void program_close(struct program *p)
{
    durability_call_cancel(p->asking);
    runner_free(p->runner);
    sessions_free(p->sessions);
    store_close(p->store);
    redis_free(p->reader);
    redis_free(p->redis);
    pool_leave(p->pool);
    loop_free(p->loop);
    settings_free(&p->settings);
}

static void on_stopped(void *arg)
{
    struct program *p = arg;

    loop_stop(p->loop);
}

static void on_signal(void *arg)
{
    struct program *p = arg;

    runner_stop(p->runner, on_stopped, p);
}

/* Acceptance is where durability is required; here it is said once. */
static void on_durability(void *arg, const char *problem, const struct err *e)
{
    struct program *p = arg;

    (void)e;
    p->asking = NULL;
    if (problem)
        log_warn(NULL, "redis durable=no problem=\"%s\"", problem);
}

static enum err_code work(struct program *p, struct err *e)
{
    struct runner_deps deps = {
        .loop = p->loop, .settings = &p->settings, .redis = p->redis, .reader = p->reader,
        .sessions = p->sessions, .store = p->store,
    };

    /* Without a scoreboard only --health is missing. */
    if (pool_join(p->settings.server.runtime_dir, SCOREBOARD, &p->pool, e) == ERR_OK)
        deps.slot = pool_mine(p->pool);
    else
        log_warn(NULL, "start scoreboard=none words=\"%s\"", e->detail);
    *e = ERR_NONE;
    p->runner = runner_new(&deps);
    if (!p->runner)
        return err_set(e, ERR_INTERNAL, "out of memory");
    loop_on_signal(p->loop, SIGTERM, on_signal, p);
    loop_on_signal(p->loop, SIGINT, on_signal, p);
    p->asking = durability_check(p->redis, p->settings.redis.min_replicas, on_durability, p);
    log_info(NULL, "start store=%s concurrency=%" PRId64, store_name(p->store),
             p->settings.tasks.concurrency);
    loop_run(p->loop);
    log_info(NULL, "stop done");
    return ERR_OK;
}

static int run(void)
{
    struct program p = { 0 };
    struct err e = ERR_NONE;

    log_init("confab-jobrunner", LOG_LEVEL_INFO);
    if (settings_load(&p.settings)) {
        log_init("confab-jobrunner", (enum log_level)p.settings.server.log_level);
        if (program_open(&p, &e) == ERR_OK)
            work(&p, &e);
        if (e.code)
            log_error(NULL, "start failed words=\"%s\"", e.detail);
    } else {
        err_set(&e, ERR_INVALID, "settings");
    }
    program_close(&p);
    if (!e.code)
        return EXIT_SUCCESS;
    sleep(START_BACKOFF_S);         /* whoever starts us again must not do so in a tight loop */
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    int answered;

    if (argc == 2 && !strcmp(argv[1], "--health"))
        return health();
    answered = options_answer(&command_line, argc, argv);
    return answered >= 0 ? answered : run();
}
