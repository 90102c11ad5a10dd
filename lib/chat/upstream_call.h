#ifndef CONFAB_UPSTREAM_CALL_H
#define CONFAB_UPSTREAM_CALL_H
/* One question to an OpenAI-compatible server, as the files upstream*.c share it. */

#include "lib/base/log.h"
#include "lib/chat/openai.h"
#include "lib/chat/openai_error.h"
#include "lib/chat/upstream.h"
#include "lib/io/http.h"

struct upstream {
    struct loop           *loop;        /* borrowed */
    const struct model_settings *settings;      /* borrowed */
    struct http *http;
    struct http_url *url;
    struct http_headers *headers;       /* the same for each request; with the key */
    char        *description;
    struct buf   text;                  /* of the event at hand: one at a time in a loop */
};

enum call_state {       /* up to WAIT no byte of an answer has come */
    CALL_ASK,       /* the request is out */
    CALL_FAULT,     /* another status than 200; its body is being read */
    CALL_WAIT,      /* the delay before the next try */
    CALL_STREAM,    /* the events of the answer */
    CALL_WHOLE,     /* the answer as one JSON object, from a server that does not stream */
    CALL_OVER,      /* the response has ended; events may be left, while we are paused */
};

struct upstream_call {
    struct upstream      *up;       /* borrowed */
    enum call_state       state;
    struct upstream_handlers on;
    void                 *arg;
    struct log            log;
    struct http_call     *http;     /* NULL in WAIT and OVER */
    char                 *body;     /* the request, kept while it may be sent again */
    size_t                body_len;
    int                   tries;    /* begun */
    int                   status;
    int64_t               deadline; /* of all tries together */
    bool                  others;   /* see upstream_limits */
    struct timer          timer;    /* of the state */
    int64_t               due;      /* when it fires */
    struct timer          resumed;  /* the next turn of the loop after upstream_resume */
    struct openai_head    head;
    struct openai_reader  reader;
    struct sse           *sse;
    struct buf            whole;    /* body of FAULT and WHOLE */
    size_t                text_len; /* bytes handed on */
    struct err           *cut;      /* in OVER: what ended the response, NULL = its end */
    bool                  heard;    /* an event has come: the first token's deadline is met */
    int64_t               silent_since; /* the last byte; before the first event, the request */
    bool                  paused;
    bool                  talking;  /* within on_text, where we may be cancelled */
    bool                  cancelled;
};

/* upstream_call.c */

/* The ways out: nothing may touch c after them. */
void call_finish(struct upstream_call *c, const struct err *e);
void call_fail(struct upstream_call *c, enum err_code code, const char *why);
void call_set_timer(struct upstream_call *c, int64_t ms);
/* Of the turn; never 0, which would mean no limit. */
int64_t call_time_left(const struct upstream_call *c);

/* upstream_answer.c. False: c is gone. */

/* The first byte of a 200's body is here. */
bool answer_begin(struct upstream_call *c);
bool answer_bytes(struct upstream_call *c, const char *bytes, size_t len);
/* The response has ended, regularly (e NULL) or cut. */
void answer_over(struct upstream_call *c, const struct err *e);
/* Hands on what has come, unless on_text pauses us; after the end also that. */
bool answer_read(struct upstream_call *c);

#endif
