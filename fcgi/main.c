/* confab-fcgi: settings, loop, listen. What it serves stands in routes.c. */

#include <fastcgi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcgi/app.h"
#include "fcgi/gateway.h"
#include "fcgi/routes.h"
#include "fcgi/upkeep.h"
#include "lib/base/options.h"
#include "lib/chat/apikeys.h"
#include "lib/chat/dialog_html.h"
#include "lib/chat/task_accept.h"
#include "lib/io/pool.h"

enum { EXIT_USAGE = 2, START_BACKOFF_S = 1 };

static const struct options_program program = {
    .name = "confab-fcgi",
    .needs_model = true,
    .usage = "confab-fcgi: answers confab's HTTP API as a FastCGI child\n"
             "\n"
             "  spawn-fcgi -n -s SOCKET -b 4096 -- multiwatch -f CHILDREN -- confab-fcgi\n"
             "\n"
             "Serves the listening socket that it finds as descriptor 0. SIGTERM and SIGUSR1 let\n"
             "the running requests end.\n",
};

static bool listens(int fd)
{
    int yes = 0;
    socklen_t len = sizeof(yes);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

static enum err_code open_redis(struct app *app, const char *name, int64_t replicas,
                                struct redis **out, struct err *e)
{
    struct redis_options o = {
        .url = app->settings.redis.url,
        .connect_timeout = app->settings.redis.connect_timeout,
        .timeout = app->settings.redis.timeout,
        .name = name,
        .replicas = replicas,
        .replica_timeout = app->settings.redis.replica_timeout,
    };

    return redis_new(app->loop, &o, out, e);
}

/* All that requests are answered with. What it has made when it fails, app_close takes. */
static enum err_code app_open(struct app *app, struct err *e)
{
    app->loop = loop_new();
    if (!app->loop)
        return err_set(e, ERR_INTERNAL, "there is no event loop to be had");
    loop_raise_file_limit();
    dialog_html_init();
    if (prompts_load(app->settings.server.prompts_dir, &app->prompts, e) != ERR_OK ||
        model_new(app->loop, &app->settings, &app->model, e) != ERR_OK ||
        open_redis(app, "confab-fcgi", app->settings.redis.min_replicas, &app->redis, e) != ERR_OK ||
        open_redis(app, "confab-fcgi-wake", 0, &app->wake, e) != ERR_OK)
        return e->code;
    app->sessions = sessions_new(app->loop, app->redis, app->wake, &app->settings);
    app->quota = quota_new(app->loop, app->redis, &app->settings);
    app->tasks = task_desk_new(app->redis, &app->settings);
    app->memory = memory_new(app->loop, app->redis, app->model, &app->settings);
    if (!app->sessions || !app->quota || !app->tasks || !app->memory)
        return err_set(e, ERR_INTERNAL, "out of memory");
    if (apikeys_new(app->loop, app->redis, &app->settings, &app->apikeys, e) != ERR_OK)
        return e->code;
    if (pool_join(app->settings.server.runtime_dir, "pool", &app->pool, e) == ERR_OK)
        pool_mine(app->pool)->places = app->settings.server.max_requests;
    return e->code;
}

static void app_close(struct app *app)
{
    gateway_free(app->gateway);
    task_desk_free(app->tasks);
    quota_free(app->quota);
    apikeys_free(app->apikeys);
    sessions_free(app->sessions);
    memory_free(app->memory);
    model_free(app->model);
    redis_free(app->wake);
    redis_free(app->redis);
    prompts_free(app->prompts);
    pool_leave(app->pool);
    loop_free(app->loop);
    settings_free(&app->settings);
}

static void say_what_is_set_up(const struct app *app)
{
    const struct settings *s = &app->settings;

    log_info(NULL, "start model=\"%s\" prompts=\"%s\" children=%lld max_requests=%lld",
             model_describe(app->model), prompts_names(app->prompts),
             (long long)s->server.children, (long long)s->server.max_requests);
    if (model_is_demo(app->model))
        log_warn(NULL, "start demo=yes: the demo model answers, set OPENAI_API_KEY or "
                       "OPENAI_BASE_URL for a real one");
    if (s->server.access == ACCESS_OPEN)
        log_warn(NULL, "start open=yes: API_ACCESS=open, whoever reaches the port may chat at your "
                       "expense");
    else if (s->server.access == ACCESS_KEYS || apikeys_given(app->apikeys) > 0)
        log_info(NULL, "start open=no keys=%zu", apikeys_given(app->apikeys));
    /* Else Redis knows, and apikeys.c tells. */
}

static void on_written(void *arg)
{
    struct app *app = arg;

    loop_stop(app->loop);
}

/* The last requests have left something to write down. */
static void on_idle(void *arg)
{
    struct app *app = arg;

    quota_stop(app->quota, on_written, app);
}

/* SIGTERM stops the pool; SIGUSR1 only this child, whose place a new one takes. */
static void on_stop(void *arg)
{
    struct app *app = arg;

    log_info(NULL, "stop requests=%zu", gateway_active(app->gateway));
    gateway_drain(app->gateway, on_idle, app);
}

static enum err_code serve(struct app *app, struct err *e)
{
    struct upkeep *upkeep = upkeep_new(app);
    sigset_t stops;

    /* libfcgi puts handlers of its own in place: one that came before ours would be lost. */
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGUSR1);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    app->gateway = upkeep ? gateway_new(app, FCGI_LISTENSOCK_FILENO, routes_dispatch) : NULL;
    if (!app->gateway) {
        upkeep_free(upkeep);
        return err_set(e, ERR_INTERNAL, "the listening socket cannot be served");
    }
    loop_on_signal(app->loop, SIGTERM, on_stop, app);
    loop_on_signal(app->loop, SIGINT, on_stop, app);
    loop_on_signal(app->loop, SIGUSR1, on_stop, app);
    sigprocmask(SIG_UNBLOCK, &stops, NULL);
    say_what_is_set_up(app);
    loop_run(app->loop);
    upkeep_free(upkeep);
    log_info(NULL, "stop done");
    return ERR_OK;
}

/* Whoever starts us again must not do so in a tight loop. */
static int start_failed(void)
{
    sleep(START_BACKOFF_S);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct app app = { 0 };
    struct err e = ERR_NONE;
    int answered = options_answer(&program, argc, argv);

    if (answered >= 0)
        return answered;
    log_init("confab-fcgi", LOG_LEVEL_INFO);
    if (!listens(FCGI_LISTENSOCK_FILENO)) {
        fputs("confab-fcgi: descriptor 0 is not a listening socket. Start it with:\n"
              "  spawn-fcgi -n -s /tmp/confab.sock -b 4096 -- multiwatch -f 2 -- confab-fcgi\n",
              stderr);
        return EXIT_USAGE;
    }
    if (!settings_load(&app.settings)) {
        settings_free(&app.settings);
        return start_failed();
    }
    log_init("confab-fcgi", (enum log_level)app.settings.server.log_level);
    if (app_open(&app, &e) == ERR_OK)
        serve(&app, &e);
    if (e.code != ERR_OK)
        log_error(NULL, "start failed=\"%s\"", e.detail);
    app_close(&app);
    return e.code == ERR_OK ? EXIT_SUCCESS : start_failed();
}
