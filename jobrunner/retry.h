#ifndef CONFAB_RETRY_H
#define CONFAB_RETRY_H
/* What a fault means for its task: another try, when, and whether this one counts. No I/O. */

#include "jobrunner/store.h"
#include "lib/chat/task.h"

struct retry {
    bool        give_up;        /* no further try */
    bool        pause;          /* every task would meet this fault: the queue is to be paused */
    bool        counts;         /* this attempt is one of tasks.attempts */
    int64_t     delay_ms;       /* until the next, drawn anew at each call */
    const char *code;           /* of the record's error; static */
};

/* t: as it was reserved for the try that has failed. retry_after: seconds, 0 = not said. */
struct retry retry_decide(const struct settings *s, const struct task *t,
                          enum store_verdict verdict, int retry_after);

#endif
