#ifndef CONFAB_OPTIONS_H
#define CONFAB_OPTIONS_H
/* The command line that confab's programs share. It asks questions and sets nothing: settings come
 * from the file and the environment. */

#include <stdbool.h>

struct options_program {
    const char *name;
    const char *usage;          /* for --help, before the settings: ends with a newline */
    bool        needs_model;    /* --check says when nobody could answer */
};

/* --help, --version, --check, --get NAME. The exit status once the command line was
 * answered; -1: there was none, go on and serve. */
int options_answer(const struct options_program *p, int argc, char **argv);

#endif
