#include "lib/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

/* What data points to while nothing is allocated. Never written to. */
static char empty[1];

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){ .data = empty, .max = max < SIZE_MAX / 2 ? max : SIZE_MAX / 2 };
}

void buf_close(struct buf *b)
{
    if (b->cap)
        free(b->data);
    buf_init(b, 0);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->cap)
        b->data[0] = '\0';
}

static bool set_cap(struct buf *b, size_t cap)
{
    char *grown = realloc(b->cap ? b->data : NULL, cap);

    if (!grown)
        return false;
    b->data = grown;
    b->cap = cap;
    b->data[b->len] = '\0';
    return true;
}

void buf_trim(struct buf *b)
{
    if (!b->cap)
        return;
    if (b->len == 0) {
        free(b->data);
        b->data = empty;
        b->cap = 0;
    } else if (b->cap > b->len + 1) {
        set_cap(b, b->len + 1); /* when that fails, the larger block is still ours */
    }
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t need, cap;

    if (b->failed)
        return NULL;
    if (n > b->max - b->len)
        goto failed;
    need = b->len + n + 1;
    if (need <= b->cap)
        return b->data + b->len;
    cap = b->cap ? b->cap * 2 : FIRST_CAP;
    if (cap > b->max + 1)
        cap = b->max + 1;
    if (!set_cap(b, cap < need ? need : cap))
        goto failed;
    return b->data + b->len;
failed:
    b->failed = true;
    return NULL;
}

void buf_grew(struct buf *b, size_t n)
{
    assert(n < b->cap - b->len);
    b->len += n;
    b->data[b->len] = '\0';
}

bool buf_add(struct buf *b, const void *bytes, size_t len)
{
    char *room;

    if (b->failed)
        return false;
    if (len == 0)
        return true;
    room = buf_reserve(b, len);
    if (!room)
        return false;
    memcpy(room, bytes, len);
    buf_grew(b, len);
    return true;
}

bool buf_addc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

/* Most of what is printed fits what room there is: printed once, not measured before. */
bool buf_addf(struct buf *b, const char *fmt, ...)
{
    size_t room = b->cap && !b->failed ? b->cap - b->len : 0;
    va_list ap;
    char *more;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < room) {
        b->len += (size_t)n;
        return true;
    }
    if (room)
        b->data[b->len] = '\0';
    if (n < 0)
        b->failed = true;
    if (n <= 0)
        return !b->failed;
    more = buf_reserve(b, (size_t)n);
    if (!more)
        return false;
    va_start(ap, fmt);
    vsnprintf(more, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf_grew(b, (size_t)n);
    return true;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = '\0';
}

char *buf_steal(struct buf *b, size_t *len)
{
    size_t max = b->max;
    char *bytes = NULL;

    if (len)
        *len = b->failed ? 0 : b->len;
    if (!b->failed)
        bytes = b->cap ? b->data : calloc(1, 1);
    if (bytes == b->data)
        b->cap = 0; /* no longer ours to free */
    buf_close(b);
    b->max = max;
    return bytes;
}
