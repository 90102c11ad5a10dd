#ifndef CONFAB_SETTINGS_MODEL_H
#define CONFAB_SETTINGS_MODEL_H
/* The settings of those whom the model is asked from: [model], and the sections
 * [upstream "NAME"], servers that are asked when the ones before them fail. What such a section
 * does not give it takes from [model], but for the key: one server's key is nothing to show to
 * another. */

#include "lib/base/settings.h"

/* Those that the file has sections for, and those that OPENAI_FALLBACKS names. */
struct upstream_names { char names[UPSTREAMS_MAX][UPSTREAM_NAME_SIZE]; size_t count; };

/* False when there are too many, or a name is none: told on report. What else is wrong with the
 * file is told by conf_load. */
bool upstream_names_find(struct upstream_names *n, const char *file, char *const *env,
                         FILE *report);

/* Rows for conf_load: those of settings_rows, then for each name its own, whose fields lie in
 * s->upstreams, in order. NULL: out of memory. One free(). */
struct conf_row *upstream_rows(const struct upstream_names *n, size_t *count);

/* After conf_load: inherits, checks, and puts them in the order in which they are asked. */
bool upstream_settings_finish(struct settings *s, const struct upstream_names *n, FILE *report);
/* Also after a load that has failed. */
void upstream_settings_free(struct settings *s);

#endif
