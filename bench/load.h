#ifndef CONFAB_BENCH_LOAD_H
#define CONFAB_BENCH_LOAD_H
/* What the parts of the load client share. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/hist.h"

struct options {
    const char *host;
    int         port;
    const char *path;
    const char *body;           /* "%s" in it becomes the session's id */
    const char *session;        /* how those ids begin */
    bool        stream;         /* event streams; else whole replies */
    bool        openai;         /* an upstream's own stream, without events' names */
    bool        fresh;          /* a new connection for each request */
    int         expect;         /* the status that counts as success */
    unsigned    connections;
    unsigned    turns;          /* of a session, before the next one begins; 0 = all in one */
    double      seconds;        /* 0: each connection makes one request */
    double      warmup;         /* seconds that do not count */
};

/* While many streams are being opened, and while the first end, others wait for the work that
 * this makes: each phase is counted for itself. */
enum phase { PHASE_OPENING, PHASE_PLATEAU, PHASE_CLOSING, PHASE_COUNT };

enum { KINDS_MAX = 32 };

struct results {
    struct hist tokens[PHASE_COUNT];    /* from the upstream's send to our receive */
    struct hist first;                  /* from our send to the first token */
    struct hist whole;                  /* from our send to the end */
    struct hist refused;                /* the same, for replies of another status */
    uint64_t    ok, failed;
    uint64_t    answered;               /* as expected, the warm-up's included */
    struct { char name[64]; uint64_t count; } kinds[KINDS_MAX];     /* of failures */
    double      seconds;                /* that counted */
    double      open_seconds;           /* until the last stream had its first token */
    double      cpu_seconds;            /* our own */
};

bool options_read(struct options *o, int argc, char **argv);
void results_fail(struct results *r, const char *kind);
void results_print(FILE *out, const struct results *r);

#endif
