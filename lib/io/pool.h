#ifndef CONFAB_POOL_H
#define CONFAB_POOL_H
/* The scoreboard: a small file shared by all processes of a pool, one slot each, so that any
 * child can say how many live and what they have done. A slot is held by a lock on its bytes,
 * which the kernel gives up when the process dies, however it dies. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { POOL_SLOTS = 256, POOL_UPSTREAMS = 5 };

/* What only grows. */
struct pool_counts {
    uint64_t requests, errors, rejected;
    uint64_t asked[POOL_UPSTREAMS], failed[POOL_UPSTREAMS];     /* in the order of the settings */
};

/* Of one process; written by it alone, read by all, who may see one that is just being
 * changed. */
struct pool_slot {
    int32_t  pid;
    int32_t  draining;           /* takes no new requests */
    int64_t  started_at;         /* wall ms */
    int64_t  turned_at;          /* wall ms when its loop last turned */
    uint64_t active, streams;    /* requests, those accepted and not read yet among them */
    int64_t  places;             /* that it brings into the pool */
    _Atomic int64_t taken;       /* places that its requests hold, whoever brought them */
    struct pool_counts counts;
    struct pool_counts past;     /* of those who held this slot before */
    int64_t  cool_until[POOL_UPSTREAMS];    /* wall ms; 0 = well */
};

struct pool;
/* Takes a free slot of dir/name; both are made when missing. ERR_INTERNAL names what failed.
 * A process it forks without exec would hold the slot as well; ours fork none. */
enum err_code pool_join(const char *dir, const char *name, struct pool **out, struct err *e);
/* Only to look: takes no slot, makes nothing. ERR_NO_ROUTE when there is no such scoreboard. */
enum err_code pool_look(const char *dir, const char *name, struct pool **out, struct err *e);
void pool_leave(struct pool *p);        /* NULL: nothing */
struct pool_slot *pool_mine(struct pool *p);    /* after pool_join only */
/* Copies the slots of living processes (this one included), at most max, and returns how many
 * it copied. */
size_t pool_living(struct pool *p, struct pool_slot *out, size_t max);
/* What it does, for people: idle, busy or draining. */
const char *pool_slot_state(const struct pool_slot *s);
/* The least active of a sibling: a process that lives, as of the last pool_meet, and takes new
 * requests. UINT64_MAX: there is none. Costs next to nothing; pool_meet some 100 us. */
uint64_t pool_least_active(const struct pool *p);
void pool_meet(struct pool *p);
/* A place in the pool, for a request of this process. The places that the processes bring are one
 * stock, of those that take new requests: never are more taken than there are, and of several who
 * ask for the last one at once one gets it. Nothing is locked. What a dead process held is free
 * when another joins in its place; else it goes, with what it brought, at the next pool_meet. */
bool pool_take_place(struct pool *p);
void pool_give_place(struct pool *p);
/* Of all processes there have been, dead ones too, since the file was made. */
struct pool_counts pool_totals(const struct pool *p);

#endif
