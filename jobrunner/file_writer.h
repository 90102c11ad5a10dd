#ifndef CONFAB_FILE_WRITER_H
#define CONFAB_FILE_WRITER_H
/* Files written whole or not at all, by threads of its own, because fsync may take seconds and
 * nothing may block the loop: temporary file in the same folder, fsync, rename, fsync of the
 * folder. Many threads, as the disk makes many files durable in the time of one. */

#include <stdbool.h>
#include <stddef.h>

#include "lib/io/loop.h"

struct file_writer;
/* folder: copied. most: files under way at once. NULL: no memory, thread or event descriptor. */
struct file_writer *file_writer_new(struct loop *l, const char *folder, size_t most);
/* Waits for what is being written just now; drops what waits. Pending callbacks do not come. */
void file_writer_free(struct file_writer *w);

struct file_job;
/* error: 0 or an errno; doing: which step failed, a static string. */
typedef void file_written_fn(void *arg, int error, const char *doing);
/* All is copied. Never calls back before it has returned. NULL: out of memory, or too many wait
 * already. */
struct file_job *file_write(struct file_writer *w, const char *name, const char *bytes, size_t len,
                            file_written_fn *fn, void *arg);
/* No callback comes any more; the file may still be written. NULL: nothing. */
void file_cancel(struct file_job *j);

/* Temporary files that a crash left in the folder, if older than an hour. Blocks: for the start. */
void file_writer_sweep(const char *folder);

#endif
