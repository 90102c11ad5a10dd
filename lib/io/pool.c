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
enum { SLOT_BYTES = 128, FILE_BYTES = POOL_SLOTS * SLOT_BYTES, LAYOUT = 1, PATH_BYTES = 4096 };

_Static_assert(sizeof(struct pool_slot) <= SLOT_BYTES, "a slot must fit its place");

struct pool {
    int    fd;
    char  *page;        /* mapped, shared */
    size_t mine;
};

static struct pool_slot *slot_at(const struct pool *p, size_t i)
{
    return (struct pool_slot *)(void *)(p->page + i * SLOT_BYTES);
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

static enum err_code open_file(struct pool *p, const char *dir, const char *name, struct err *e)
{
    char path[PATH_BYTES];
    struct stat st;

    if (snprintf(path, sizeof path, "%s/%s.%d", dir, name, LAYOUT) >= (int)sizeof path)
        return err_set(e, ERR_INTERNAL, "the path of the scoreboard is too long");
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, "making %s: %s", dir, strerror(errno));
    p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (p->fd < 0)
        return err_set(e, ERR_INTERNAL, "opening %s: %s", path, strerror(errno));
    /* Only ever longer: a slot that somebody has mapped must not vanish. */
    if (fstat(p->fd, &st) < 0 || (st.st_size < FILE_BYTES && ftruncate(p->fd, FILE_BYTES) < 0))
        return err_set(e, ERR_INTERNAL, "sizing %s: %s", path, strerror(errno));
    p->page = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    if (p->page == MAP_FAILED) {
        p->page = NULL;
        return err_set(e, ERR_INTERNAL, "mapping %s: %s", path, strerror(errno));
    }
    if (!take_slot(p))
        return err_set(e, ERR_INTERNAL, "all %d slots of %s are taken", POOL_SLOTS, path);
    return ERR_OK;
}

enum err_code pool_join(const char *dir, const char *name, struct pool **out, struct err *e)
{
    struct pool *p = calloc(1, sizeof *p);
    enum err_code code;
    struct pool_slot *mine;

    *out = NULL;
    if (!p)
        return err_set(e, ERR_INTERNAL, "out of memory");
    p->fd = -1;
    code = open_file(p, dir, name, e);
    if (code != ERR_OK) {
        pool_leave(p);
        return code;
    }
    mine = slot_at(p, p->mine);
    memset(mine, 0, sizeof *mine);
    mine->pid = getpid();
    mine->started_at = mine->turned_at = clock_wall_ms();
    *out = p;
    return ERR_OK;
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
