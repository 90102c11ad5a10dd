#ifndef CONFAB_HTTP_FRAME_H
#define CONFAB_HTTP_FRAME_H
/* Inside of http.c: where an answer's lines and its body are in a stream of bytes (RFC 9112). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What comes next. */
enum frame_phase {
    FRAME_HEAD, FRAME_CHUNK_SIZE, FRAME_CHUNK_END, FRAME_TRAILER,   /* a line */
    FRAME_BODY, FRAME_CHUNK, FRAME_UNTIL_CLOSE,                     /* bytes of the body */
    FRAME_OVER,
};

struct http_frame {
    enum frame_phase phase;
    bool             bodyless;  /* HEAD was asked */
    bool             chunked;
    bool             closes;    /* the connection cannot be used again */
    int64_t          length;    /* -1: not told */
    int64_t          left;      /* bytes of the body, or of its chunk */
};

/* line: a status line. */
void frame_begin(struct http_frame *f, const char *line);
/* name is lower case. False: nobody knows where such an answer ends. */
bool frame_field(struct http_frame *f, const char *name, const char *value);
void frame_head_ends(struct http_frame *f, int status);
/* A line of any other phase, with its end; more than one of them end an answer. False: it is none
 * that can stand there. */
bool frame_line(struct http_frame *f, const char *line, size_t len);
bool frame_in_body(const struct http_frame *f);
/* How many of len bytes are the body's. */
size_t frame_part(const struct http_frame *f, size_t len);
void frame_passed(struct http_frame *f, size_t part);

#endif
