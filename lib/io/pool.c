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

struct pool {
    int               fd;
    size_t            mine;       /* index of our slot */
    struct pool_slot *slots;      /* POOL_SLOTS of them, mapped */
};

enum { FILE_SIZE = POOL_SLOTS * sizeof(struct pool_slot) };

/* Open file description locks: given up by the kernel with the process, unaffected by other
 * descriptors of the same file (fcntl(2), "Open file description locks"). */
static struct flock span(size_t slot, short type)
{
    return (struct flock){ .l_type = type, .l_whence = SEEK_SET,
                           .l_start = (off_t)(slot * sizeof(struct pool_slot)),
                           .l_len = sizeof(struct pool_slot) };
}

static bool take(int fd, size_t slot)
{
    struct flock lock = span(slot, F_WRLCK);

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Held by another process. Our own lock does not hinder us, so it reads as free. */
static bool held(int fd, size_t slot)
{
    struct flock lock = span(slot, F_WRLCK);

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static enum err_code open_file(struct pool *p, const char *path, struct err *e)
{
    struct stat st;

    p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
    if (p->fd < 0)
        return err_set(e, ERR_INTERNAL, "opening %s: %s", path, strerror(errno));
    /* Only ever longer: a slot that somebody has mapped must not vanish. */
    if (fstat(p->fd, &st) != 0 || (st.st_size < FILE_SIZE && ftruncate(p->fd, FILE_SIZE) != 0))
        return err_set(e, ERR_INTERNAL, "making room in %s: %s", path, strerror(errno));
    p->slots = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    if (p->slots == MAP_FAILED) {
        p->slots = NULL;
        return err_set(e, ERR_INTERNAL, "mapping %s: %s", path, strerror(errno));
    }
    return ERR_OK;
}

static enum err_code take_slot(struct pool *p, const char *path, struct err *e)
{
    for (p->mine = 0; p->mine < POOL_SLOTS; p->mine++)
        if (take(p->fd, p->mine))
            break;
    if (p->mine == POOL_SLOTS)
        return err_set(e, ERR_INTERNAL, "all %d slots of %s are taken", POOL_SLOTS, path);
    p->slots[p->mine] = (struct pool_slot){
        .pid = getpid(), .started_at = clock_wall_ms(), .turned_at = clock_wall_ms(),
    };
    return ERR_OK;
}

enum err_code pool_join(const char *dir, const char *name, struct pool **out, struct err *e)
{
    char path[512];
    struct pool *p;

    *out = NULL;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_set(e, ERR_INTERNAL, "making %s: %s", dir, strerror(errno));
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
        return err_set(e, ERR_INTERNAL, "the path of the scoreboard is too long: %s", dir);
    p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(e, ERR_INTERNAL, "out of memory");
    if (open_file(p, path, e) != ERR_OK || take_slot(p, path, e) != ERR_OK) {
        pool_leave(p);
        return e->code;
    }
    *out = p;
    return ERR_OK;
}

void pool_leave(struct pool *p)
{
    if (!p)
        return;
    if (p->slots)
        munmap(p->slots, FILE_SIZE);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

struct pool_slot *pool_mine(struct pool *p)
{
    return &p->slots[p->mine];
}

size_t pool_living(struct pool *p, struct pool_slot *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < POOL_SLOTS && n < max; i++)
        if (i == p->mine || held(p->fd, i))
            out[n++] = p->slots[i];
    return n;
}
