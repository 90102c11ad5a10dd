#ifndef CONFAB_APP_H
#define CONFAB_APP_H
/* What all handlers share: made in main.c, handed down with each request. */

#include <stdbool.h>

#include "lib/base/settings.h"
#include "lib/chat/memory.h"
#include "lib/chat/model.h"
#include "lib/chat/prompt.h"
#include "lib/chat/quota.h"
#include "lib/chat/session.h"
#include "lib/chat/window.h"
#include "lib/io/loop.h"
#include "lib/io/redis.h"

struct apikeys;
struct pool;
struct gateway;
struct task_desk;

struct app {
    struct settings  settings;
    struct loop     *loop;
    struct redis    *redis;         /* commands */
    struct redis    *wake;          /* the wake-up channel */
    struct sessions *sessions;
    struct apikeys  *apikeys;
    struct quota    *quota;
    struct task_desk *tasks;        /* accepts them */
    struct model    *model;
    struct memory   *memory;
    struct prompts  *prompts;
    struct window_scale scale;      /* what this process has learned of the model's tokens */
    struct pool     *pool;          /* the scoreboard of the children; NULL without one */
    struct gateway  *gateway;
    bool             durable;       /* Redis keeps what it acknowledges */
    char             durability_problem[200];   /* what to change, when it is known not to */
};

#endif
