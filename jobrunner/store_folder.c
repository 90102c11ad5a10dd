/* Documents as HTML files in a folder: `<slug of the name>--<task id>.html`, one per task. Every
 * attempt writes the same name, which follows from the job alone, so nothing has to be recorded
 * before; and a file appears whole or not at all. So a repeat does no harm.
 *
 *   BEGIN -> (checkpoint) -> WRITE -> done */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobrunner/file_writer.h"
#include "jobrunner/store.h"
#include "lib/base/text.h"
#include "lib/chat/task.h"

enum { TIME_TO_WRITE = 30000 };

struct folder_store {
    struct store        store;      /* first */
    struct loop        *loop;       /* borrowed, as is path */
    const char         *path;
    struct file_writer *writer;
};

struct folder_op {
    struct store_op         op;     /* first */
    struct folder_store    *store;
    const struct store_job *job;
    struct store_handlers   on;
    void                   *arg;
    struct timer            begin;
    struct file_job        *file;   /* being written */
    char                    slug[TASK_SLUG_SIZE], name[TASK_FILE_SIZE];
    bool                    full;   /* the writer takes no more: told from `begin` */
};

static void op_free(struct folder_op *op)
{
    timer_stop(&op->begin);
    file_cancel(op->file);
    free(op);
}

static void op_done(struct folder_op *op, enum store_verdict verdict, const struct err *e)
{
    struct store_handlers on = op->on;
    void *arg = op->arg;
    char slug[TASK_SLUG_SIZE];

    memcpy(slug, op->slug, sizeof(slug));
    op_free(op);
    on.on_done(arg, verdict, slug, e);
}

/* --- faults --- */

struct advice { int error; enum store_verdict verdict; const char *words; };

static const struct advice advices[] = {
    { ENOSPC,  STORE_MISCONFIGURED, "the disk is full: make room" },
    { EDQUOT,  STORE_MISCONFIGURED, "the disk quota is used up: make room or raise it" },
    { EACCES,  STORE_MISCONFIGURED, "the runner's user may not write there: give it the folder" },
    { EPERM,   STORE_MISCONFIGURED, "the runner's user may not write there: give it the folder" },
    { EROFS,   STORE_MISCONFIGURED, "the file system is read-only: mount it writable, or (systemd) "
                                    "name the folder in ReadWritePaths" },
    { ENOENT,  STORE_MISCONFIGURED, "the folder does not exist and cannot be made: make it" },
    { ENOTDIR, STORE_MISCONFIGURED, "it is not a folder: name one, or move what is there" },
    { ELOOP,   STORE_MISCONFIGURED, "it is a loop of symbolic links" },
    { EISDIR,  STORE_MISCONFIGURED, "a folder stands where the file should go: move it away" },
    { EFBIG,   STORE_IMPOSSIBLE,    "the document is larger than a file may be there" },
    { ENAMETOOLONG, STORE_IMPOSSIBLE, "the file system does not take so long a name" },
};

/* Anything else is a passing fault of the machine: EIO, EMFILE, ESTALE, ... */
static enum store_verdict judge(const char *path, int error, const char *doing, struct err *e)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++)
        if (advices[i].error == error) {
            err_set(e, ERR_STORE, "%s %s (tasks.doc_folder, DOC_FOLDER): %s (%s)", doing, path,
                    advices[i].words, strerror(error));
            return advices[i].verdict;
        }
    err_set(e, ERR_STORE, "%s %s (tasks.doc_folder, DOC_FOLDER): %s", doing, path,
            strerror(error));
    return STORE_AWAY;
}

/* --- a document --- */

static void on_begin(void *arg)
{
    struct folder_op *op = arg;

    if (op->full) {
        struct err e = ERR_NONE;

        err_set(&e, ERR_STORE, "too many documents wait to be written");
        op_done(op, STORE_AWAY, &e);
        return;
    }
    op->on.on_checkpoint(op->arg, NULL, TIME_TO_WRITE);     /* op may be gone */
}

static void on_written(void *arg, int error, const char *doing)
{
    struct folder_op *op = arg;
    struct err e = ERR_NONE;

    op->file = NULL;
    if (error) {
        enum store_verdict verdict = judge(op->store->path, error, doing, &e);
        op_done(op, verdict, &e);
    } else
        op_done(op, STORE_OK, NULL);
}

static void folder_proceed(struct store_op *o)
{
    struct folder_op *op = (struct folder_op *)o;

    op->file = file_write(op->store->writer, op->name, op->job->html, op->job->html_len,
                          on_written, op);
    if (!op->file) {
        op->full = true;
        timer_set(&op->begin, 0);
    }
}

static void folder_cancel(struct store_op *o)
{
    op_free((struct folder_op *)o);
}

static struct store_op *folder_write(struct store *s, const struct store_job *job,
                                     const struct store_handlers *on, void *arg)
{
    struct folder_store *store = (struct folder_store *)s;
    struct folder_op *op = calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    op->op.kind = &store_folder;
    op->store = store;
    op->job = job;
    op->on = *on;
    op->arg = arg;
    text_slug(job->name, strlen(job->name), op->slug, sizeof(op->slug));
    task_file_name(op->name, op->slug, job->task_id);
    timer_init(&op->begin, store->loop, on_begin, op);
    timer_set(&op->begin, 0);
    return &op->op;
}

/* --- the store --- */

static bool folder_chosen(const struct settings *s)
{
    (void)s;
    return true;
}

/* The folder and those above it. Returns an errno. */
static int make_folders(const char *path)
{
    char *copy = strdup(path);
    int error = 0;

    if (!copy)
        return ENOMEM;
    for (char *slash = copy + 1; !error && (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(copy, 0777) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            error = errno;
        *slash = '/';
    }
    if (!error && mkdir(copy, 0777) < 0 && errno != EEXIST)
        error = errno;
    free(copy);
    return error;
}

static enum err_code folder_open(const struct store_deps *d, struct store **out, struct err *e)
{
    const char *path = d->settings->tasks.doc_folder;
    int error = make_folders(path);
    struct folder_store *s;

    if (!error && access(path, W_OK | X_OK) < 0)
        error = errno;
    if (error) {
        judge(path, error, "opening the folder", e);
        e->code = ERR_INVALID;
        return ERR_INVALID;
    }
    file_writer_sweep(path);
    if (!(s = calloc(1, sizeof(*s))))
        return err_set(e, ERR_INTERNAL, "out of memory");
    s->store.kind = &store_folder;
    s->loop = d->loop;
    s->path = path;
    s->writer = file_writer_new(d->loop, path, 2 * (size_t)d->settings->tasks.concurrency);
    if (!s->writer) {
        free(s);
        return err_set(e, ERR_INTERNAL, "cannot start the thread that writes files");
    }
    *out = &s->store;
    return ERR_OK;
}

static void folder_close(struct store *s)
{
    struct folder_store *store = (struct folder_store *)s;

    file_writer_free(store->writer);
    free(store);
}

const struct store_kind store_folder = {
    .name = "folder",
    .chosen = folder_chosen,
    .open = folder_open,
    .close = folder_close,
    .write = folder_write,
    .proceed = folder_proceed,
    .cancel = folder_cancel,
};
