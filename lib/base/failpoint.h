#ifndef CONFAB_FAILPOINT_H
#define CONFAB_FAILPOINT_H
/* Named points at which a test can end the process, drop the answer of a call that was done, or
 * stall. They exist only in a build made with --enable-failpoints, which cannot be installed; in
 * any other FAILPOINT is the constant false and leaves nothing in the program.
 *
 * A point is called WHERE:WHAT, such as "redis.send:task_finish" (the script is about to leave),
 * "redis.answer:task_finish" (it was carried out, its answer has come), "google.send:PATCH upload",
 * "google.answer:POST files", "folder:rename". What is to happen stands in the environment:
 *
 *   CONFAB_FAILPOINTS="redis.answer:task_record=kill;google.answer:POST files=drop@2"
 *
 * kill, drop or delay/MS (a stall of the whole process), at the first time, or at the n-th with @n.
 * Each point that is met is also noted, once, in the file that CONFAB_FAILPOINTS_SEEN names, and
 * each death, as often as it comes, in that of CONFAB_FAILPOINTS_DIED. */

#include <stdbool.h>

#ifdef CONFAB_FAILPOINTS
/* True: the answer is to be dropped, as if the connection had broken after the work was done. */
bool failpoint(const char *where, const char *what);
#define FAILPOINT(where, what) failpoint(where, what)
#else
#define FAILPOINT(where, what) false
#endif

#endif
