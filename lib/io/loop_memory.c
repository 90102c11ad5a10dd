#include "lib/io/loop_memory.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Room for as many descriptors as a process has; address space only, until it is used. */
enum { SMALL = 32, ROOM = 4 << 20 };

static char *room;
static size_t used;
static void *given_back;        /* a list through the first bytes of each */

static bool is_ours(const void *p)
{
    uintptr_t at = (uintptr_t)p, from = (uintptr_t)room;

    return room && at >= from && at - from < ROOM;
}

static void *small_new(void)
{
    void *p = given_back;

    if (p)
        memcpy(&given_back, p, sizeof given_back);
    else if (used + SMALL <= ROOM) {
        p = room + used;
        used += SMALL;
    }
    return p;
}

static void *on_malloc(size_t size)
{
    void *p = size <= SMALL ? small_new() : NULL;

    return p ? p : malloc(size);
}

static void on_free(void *p)
{
    if (!is_ours(p)) {
        free(p);
        return;
    }
    memcpy(p, &given_back, sizeof given_back);
    given_back = p;
}

static void *on_realloc(void *p, size_t size)
{
    void *larger;

    if (!is_ours(p))
        return realloc(p, size);
    if (size <= SMALL)
        return p;
    larger = malloc(size);
    if (larger) {
        memcpy(larger, p, SMALL);
        on_free(p);
    }
    return larger;
}

void loop_memory_init(void)
{
    if (room)
        return;
    room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (room == MAP_FAILED)
        room = NULL;
    else
        event_set_mem_functions(on_malloc, on_realloc, on_free);
}
