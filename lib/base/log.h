#ifndef CONFAB_LOG_H
#define CONFAB_LOG_H
/* One line per event on standard error: `key=value` pairs, the time and the level
 * first, then the prefix of the object it is about, then the event.
 *
 *   time=2026-03-01T09:30:00.000Z level=info prog=confab-fcgi pid=12 req=8f3a chat status=200 ms=812
 *
 * Never log what people wrote, nor keys. Values that may hold spaces are written
 * as key="%s"; control characters in a line are escaped, so that one event is always
 * one line. A full pipe never blocks the caller: the line is dropped and counted, and
 * the next line that fits says how many are missing. */

#include <stddef.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Who a line is about. Zeroed: nobody in particular. */
struct log { char prefix[120]; };

/* program: static string for prog=. May be called again to change the level. */
void log_init(const char *program, enum log_level level);
enum log_level log_level(void);
void log_prefix(struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_line(enum log_level level, const struct log *l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* l may be NULL. */
#define log_debug(l, ...) \
    do { if (log_level() <= LOG_LEVEL_DEBUG) log_line(LOG_LEVEL_DEBUG, l, __VA_ARGS__); } while (0)
#define log_info(l, ...)  log_line(LOG_LEVEL_INFO, l, __VA_ARGS__)
#define log_warn(l, ...)  log_line(LOG_LEVEL_WARN, l, __VA_ARGS__)
#define log_error(l, ...) log_line(LOG_LEVEL_ERROR, l, __VA_ARGS__)

#endif
