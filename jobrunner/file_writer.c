#include "jobrunner/file_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/failpoint.h"
#include "lib/base/text.h"

enum { THREADS_MAX = 16, TOLD_AT_ONCE = 64, STALE_SECONDS = 3600 };

#define TEMP_PREFIX ".confab-"
#define TEMP_SUFFIX ".tmp"

struct file_job {
    STAILQ_ENTRY(file_job) next;
    char            *name, *bytes;      /* owned */
    size_t           len;
    file_written_fn *fn;                /* NULL: cancelled; only the loop's thread looks at it */
    void            *arg;
    int              error;
    const char      *doing;
};

STAILQ_HEAD(job_queue, file_job);

/* The lock guards `waiting`, `finished` and `stop`. */
struct file_writer {
    char            *folder;
    pthread_t        threads[THREADS_MAX];
    size_t           thread_count;      /* that run */
    pthread_mutex_t  lock;
    pthread_cond_t   work;
    struct job_queue waiting, finished;
    bool             stop;
    int              wake_fd;           /* eventfd: something has finished */
    struct event    *wake;
    size_t           count, most;       /* jobs not yet called back; the loop's */
};

static void job_free(struct file_job *j)
{
    free(j->name);
    free(j->bytes);
    free(j);
}

/* --- in the threads --- */

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int write_temp(int folder, const char *temp, const struct file_job *j, const char **doing)
{
    /* The process's umask decides who may read. */
    int fd = openat(folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    int error = 0;

    *doing = "making a file in the folder";
    if (fd < 0)
        return errno;
    *doing = "writing the file";
    if ((error = write_all(fd, j->bytes, j->len)) == 0) {
        *doing = "making the file durable";
        if (fsync(fd) < 0)
            error = errno;
    }
    if (close(fd) < 0 && !error)
        error = errno;
    return error;
}

static int place(int folder, const struct file_job *j, const char **doing)
{
    char random[17], temp[sizeof(TEMP_PREFIX TEMP_SUFFIX) + sizeof(random)];
    int error;

    text_random_hex(random, sizeof(random) / 2);
    snprintf(temp, sizeof(temp), TEMP_PREFIX "%s" TEMP_SUFFIX, random);
    if ((error = write_temp(folder, temp, j, doing)) == 0) {
        (void)FAILPOINT("folder", "rename");
        *doing = "naming the file";
        if (renameat(folder, temp, folder, j->name) < 0)
            error = errno;
    }
    if (error) {
        unlinkat(folder, temp, 0);
        return error;
    }
    (void)FAILPOINT("folder", "renamed");
    *doing = "making the file's name durable";
    return fsync(folder) < 0 ? errno : 0;
}

static void run(const char *path, struct file_job *j)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0 && errno == ENOENT && mkdir(path, 0777) == 0)
        folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    j->doing = "opening the folder";
    if (folder < 0) {
        j->error = errno;
        return;
    }
    j->error = place(folder, j, &j->doing);
    close(folder);
}

static void *work(void *arg)
{
    struct file_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->stop && STAILQ_EMPTY(&w->waiting))
            pthread_cond_wait(&w->work, &w->lock);
        if (w->stop)
            break;

        struct file_job *j = STAILQ_FIRST(&w->waiting);

        STAILQ_REMOVE_HEAD(&w->waiting, next);
        pthread_mutex_unlock(&w->lock);
        run(w->folder, j);
        pthread_mutex_lock(&w->lock);
        STAILQ_INSERT_TAIL(&w->finished, j, next);
        eventfd_write(w->wake_fd, 1);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- in the loop --- */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct file_writer *w = arg;
    struct file_job *j;
    eventfd_t ignored;

    (void)what;
    eventfd_read(fd, &ignored);
    for (int budget = TOLD_AT_ONCE; budget > 0; budget--) {
        pthread_mutex_lock(&w->lock);
        j = STAILQ_FIRST(&w->finished);
        if (j)
            STAILQ_REMOVE_HEAD(&w->finished, next);
        pthread_mutex_unlock(&w->lock);
        if (!j)
            return;
        w->count--;
        if (j->fn)
            j->fn(j->arg, j->error, j->doing);
        job_free(j);
    }
    eventfd_write(w->wake_fd, 1);
}

/* Signals are the loop's. */
static bool start_threads(struct file_writer *w)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (w->thread_count < w->most && w->thread_count < THREADS_MAX &&
           pthread_create(&w->threads[w->thread_count], NULL, work, w) == 0)
        w->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w->thread_count > 0;
}

static bool start(struct file_writer *w, struct loop *l)
{
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0 || !w->folder)
        return false;
    w->wake = event_new(loop_base(l), w->wake_fd, EV_READ | EV_PERSIST, on_wake, w);
    return w->wake && event_add(w->wake, NULL) == 0 && start_threads(w);
}

static void close_half(struct file_writer *w)
{
    if (w->wake)
        event_free(w->wake);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    free(w->folder);
    free(w);
}

struct file_writer *file_writer_new(struct loop *l, const char *folder, size_t most)
{
    struct file_writer *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->folder = strdup(folder);
    w->most = most;
    STAILQ_INIT(&w->waiting);
    STAILQ_INIT(&w->finished);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    if (start(w, l))
        return w;
    close_half(w);
    return NULL;
}

static void drop(struct job_queue *q)
{
    struct file_job *j;

    while ((j = STAILQ_FIRST(q))) {
        STAILQ_REMOVE_HEAD(q, next);
        job_free(j);
    }
}

void file_writer_free(struct file_writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    while (w->thread_count > 0)
        pthread_join(w->threads[--w->thread_count], NULL);
    drop(&w->waiting);
    drop(&w->finished);
    close_half(w);
}

struct file_job *file_write(struct file_writer *w, const char *name, const char *bytes, size_t len,
                            file_written_fn *fn, void *arg)
{
    struct file_job *j = w->count < w->most ? calloc(1, sizeof(*j)) : NULL;

    if (!j)
        return NULL;
    j->name = strdup(name);
    j->bytes = malloc(len ? len : 1);
    if (!j->name || !j->bytes) {
        job_free(j);
        return NULL;
    }
    memcpy(j->bytes, bytes, len);
    j->len = len;
    j->fn = fn;
    j->arg = arg;
    w->count++;
    pthread_mutex_lock(&w->lock);
    STAILQ_INSERT_TAIL(&w->waiting, j, next);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    return j;
}

void file_cancel(struct file_job *j)
{
    if (j)
        j->fn = NULL;
}

/* --- at the start --- */

static bool is_temp(const char *name)
{
    size_t len = strlen(name), suffix = strlen(TEMP_SUFFIX);

    return strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0 && len > suffix
        && strcmp(name + len - suffix, TEMP_SUFFIX) == 0;
}

void file_writer_sweep(const char *folder)
{
    DIR *d = opendir(folder);
    time_t now = time(NULL);
    struct dirent *entry;
    struct stat st;

    if (!d)
        return;
    while ((entry = readdir(d)))
        if (is_temp(entry->d_name)
            && fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0
            && S_ISREG(st.st_mode) && now - st.st_mtime > STALE_SECONDS)
            unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
}
