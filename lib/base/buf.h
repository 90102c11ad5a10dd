#ifndef CONFAB_BUF_H
#define CONFAB_BUF_H
/* A growing byte buffer with a hard maximum.
 *
 * Invariants: data[len] is always a readable '\0' (not counted in len), also when
 * nothing was ever added; len <= max. The first addition that does not fit, or that
 * finds no memory, sets `failed` and adds nothing; everything added later is dropped
 * too, so that a long build is checked once, at its end, with buf_ok(). */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buf {
    char  *data;      /* owned; never NULL after buf_init */
    size_t len;
    size_t cap;       /* bytes allocated, 0 while data is the shared empty string */
    size_t max;
    bool   failed;
};

void buf_init(struct buf *b, size_t max);   /* allocates nothing */
void buf_close(struct buf *b);              /* safe on a zeroed struct, and twice */
/* Empties it and clears `failed`; keeps the memory. */
void buf_clear(struct buf *b);
/* Gives unused memory back. */
void buf_trim(struct buf *b);

/* All return !failed. */
bool buf_add(struct buf *b, const void *bytes, size_t len);
static inline bool buf_adds(struct buf *b, const char *s) { return buf_add(b, s, strlen(s)); }
bool buf_addc(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes, at least one, at data + len (plus the '\0'); the caller then raises
 * len with buf_grew. NULL when it does not fit. */
char *buf_reserve(struct buf *b, size_t n);
void  buf_grew(struct buf *b, size_t n);
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
static inline bool buf_ok(const struct buf *b) { return !b->failed; }
/* The bytes become the caller's, to be freed with free(); b is empty and usable again.
 * NULL when the build had failed or memory is out. len may be NULL. */
char *buf_steal(struct buf *b, size_t *len);

#endif
