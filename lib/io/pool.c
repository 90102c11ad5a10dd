#include "lib/io/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"

/* The file's name carries the layout's version, so that during an upgrade old and new processes
 * never read each other's slots. A slot fills whole cache lines: nobody slows a neighbour down. */
enum { SLOT_BYTES = 384, SLOTS_BYTES = POOL_SLOTS * SLOT_BYTES, LAYOUT = 3, PATH_BYTES = 4096 };
/* After the slots: how many processes have ever joined. */
typedef _Atomic uint64_t joined_count;
enum { FILE_BYTES = SLOTS_BYTES + sizeof(joined_count) };

_Static_assert(sizeof(struct pool_slot) <= SLOT_BYTES, "a slot must fit its place");

struct pool {
    int    fd;
    char  *page;        /* mapped, shared */
    size_t mine;        /* POOL_SLOTS: none, we only look */
    size_t siblings[POOL_SLOTS], sibling_count;     /* their slots */
    uint64_t met;       /* how many had joined when we last looked */
};

static struct pool_slot *slot_at(const struct pool *p, size_t i)
{
    return (struct pool_slot *)(void *)(p->page + i * SLOT_BYTES);
}

static joined_count *joined(const struct pool *p)
{
    return (joined_count *)(void *)(p->page + SLOTS_BYTES);
}

/* The lock belongs to the open file, so another one of the same process counts as foreign, and
 * closing some other descriptor of the file does not give it up. */
static struct flock lock_of(size_t i)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET,
        .l_start = (off_t)(i * SLOT_BYTES), .l_len = SLOT_BYTES,
    };
}

static bool take_slot(struct pool *p)
{
    for (p->mine = 0; p->mine < POOL_SLOTS; p->mine++) {
        struct flock lock = lock_of(p->mine);

        if (fcntl(p->fd, F_OFD_SETLK, &lock) == 0)
            return true;
    }
    return false;
}

static bool slot_is_taken(const struct pool *p, size_t i)
{
    struct flock lock = lock_of(i);

    return i == p->mine || (fcntl(p->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
}

static enum err_code path_of(char path[PATH_BYTES], const char *dir, const char *name,
                             struct err *e)
{
    if (snprintf(path, PATH_BYTES, "%s/%s.%d", dir, name, LAYOUT) >= PATH_BYTES)
        return err_set(e, ERR_INTERNAL, "the path of the scoreboard is too long");
    return ERR_OK;
}

static enum err_code map_file(struct pool *p, int how, const char *path, struct err *e)
{
    p->page = mmap(NULL, FILE_BYTES, how, MAP_SHARED, p->fd, 0);
    if (p->page != MAP_FAILED)
        return ERR_OK;
    p->page = NULL;
    return err_set(e, ERR_INTERNAL, "mapping %s: %s", path, strerror(errno));
}

static enum err_code open_file(struct pool *p, const char *dir, const char *name, struct err *e)
{
    char path[PATH_BYTES];
    struct stat st;

    if (path_of(path, dir, name, e) != ERR_OK)
        return ERR_INTERNAL;
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, "making %s: %s", dir, strerror(errno));
    p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (p->fd < 0)
        return err_set(e, ERR_INTERNAL, "opening %s: %s", path, strerror(errno));
    /* Only ever longer: a slot that somebody has mapped must not vanish. */
    if (fstat(p->fd, &st) < 0 || (st.st_size < FILE_BYTES && ftruncate(p->fd, FILE_BYTES) < 0))
        return err_set(e, ERR_INTERNAL, "sizing %s: %s", path, strerror(errno));
    if (map_file(p, PROT_READ | PROT_WRITE, path, e) != ERR_OK)
        return ERR_INTERNAL;
    if (!take_slot(p))
        return err_set(e, ERR_INTERNAL, "all %d slots of %s are taken", POOL_SLOTS, path);
    return ERR_OK;
}

static enum err_code open_to_look(struct pool *p, const char *dir, const char *name,
                                  struct err *e)
{
    char path[PATH_BYTES];
    struct stat st;

    p->mine = POOL_SLOTS;
    if (path_of(path, dir, name, e) != ERR_OK)
        return ERR_INTERNAL;
    p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (p->fd < 0)
        return err_set(e, errno == ENOENT ? ERR_NO_ROUTE : ERR_INTERNAL, "opening %s: %s", path,
                       strerror(errno));
    if (fstat(p->fd, &st) < 0 || st.st_size < FILE_BYTES)
        return err_set(e, ERR_INTERNAL, "%s is no scoreboard", path);
    return map_file(p, PROT_READ, path, e);
}

static void add_counts(struct pool_counts *sum, const struct pool_counts *c)
{
    sum->requests += c->requests;
    sum->errors += c->errors;
    sum->rejected += c->rejected;
    for (size_t i = 0; i < POOL_UPSTREAMS; i++) {
        sum->asked[i] += c->asked[i];
        sum->failed[i] += c->failed[i];
    }
}

/* Whoever held it before is dead: its counts are history. */
static void begin_slot(struct pool_slot *mine)
{
    struct pool_counts past = mine->past;

    add_counts(&past, &mine->counts);
    *mine = (struct pool_slot){ .pid = getpid(), .past = past };
    mine->started_at = mine->turned_at = clock_wall_ms();
}

typedef enum err_code open_fn(struct pool *p, const char *dir, const char *name, struct err *e);

static enum err_code pool_new(open_fn *open_it, const char *dir, const char *name,
                              struct pool **out, struct err *e)
{
    struct pool *p = calloc(1, sizeof *p);
    enum err_code code;

    *out = NULL;
    if (!p)
        return err_set(e, ERR_INTERNAL, "out of memory");
    p->fd = -1;
    code = open_it(p, dir, name, e);
    if (code == ERR_OK)
        *out = p;
    else
        pool_leave(p);
    return code;
}

enum err_code pool_look(const char *dir, const char *name, struct pool **out, struct err *e)
{
    return pool_new(open_to_look, dir, name, out, e);
}

enum err_code pool_join(const char *dir, const char *name, struct pool **out, struct err *e)
{
    enum err_code code = pool_new(open_file, dir, name, out, e);

    if (code == ERR_OK) {
        begin_slot(pool_mine(*out));
        ++*joined(*out);
    }
    return code;
}

void pool_leave(struct pool *p)
{
    if (!p)
        return;
    if (p->page)
        munmap(p->page, FILE_BYTES);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

struct pool_slot *pool_mine(struct pool *p)
{
    return slot_at(p, p->mine);
}

size_t pool_living(struct pool *p, struct pool_slot *out, size_t max)
{
    size_t living = 0;

    for (size_t i = 0; i < POOL_SLOTS && living < max; i++)
        if (slot_is_taken(p, i))
            out[living++] = *slot_at(p, i);
    return living;
}

const char *pool_slot_state(const struct pool_slot *s)
{
    return s->draining ? "draining" : s->active > 0 ? "busy" : "idle";
}

void pool_meet(struct pool *p)
{
    p->met = *joined(p);
    p->sibling_count = 0;
    for (size_t i = 0; i < POOL_SLOTS; i++)
        if (i != p->mine && slot_is_taken(p, i))
            p->siblings[p->sibling_count++] = i;
}

uint64_t pool_least_active(const struct pool *p)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < p->sibling_count; i++) {
        const struct pool_slot *s = slot_at(p, p->siblings[i]);

        if (!s->draining && s->active < least)
            least = s->active;
    }
    return least;
}

static int64_t places_left(struct pool *p)
{
    const struct pool_slot *mine = pool_mine(p);
    int64_t left = mine->places - mine->taken;

    if (p->met != *joined(p))
        pool_meet(p);
    for (size_t i = 0; i < p->sibling_count; i++) {
        const struct pool_slot *s = slot_at(p, p->siblings[i]);

        if (!s->draining)
            left += s->places - s->taken;
    }
    return left;
}

/* Who takes first and looks then sees all who took before. Of those who looked and give way again
 * the last one sees that, if it was only they who filled the pool, and tries once more. */
bool pool_take_place(struct pool *p)
{
    for (;;) {
        atomic_fetch_add(&pool_mine(p)->taken, 1);
        if (places_left(p) >= 0)
            return true;
        pool_give_place(p);
        if (places_left(p) <= 0)
            return false;
    }
}

void pool_give_place(struct pool *p)
{
    atomic_fetch_sub(&pool_mine(p)->taken, 1);
}

struct pool_counts pool_totals(const struct pool *p)
{
    struct pool_counts sum = { 0 };

    for (size_t i = 0; i < POOL_SLOTS; i++) {
        add_counts(&sum, &slot_at(p, i)->counts);
        add_counts(&sum, &slot_at(p, i)->past);
    }
    return sum;
}
