#ifndef CONFAB_OPTIONS_H
#define CONFAB_OPTIONS_H
/* The command line of confab-fcgi. It asks questions and sets nothing: settings come from the file
 * and the environment. */

/* The exit status once the command line was answered; -1: there was none, go on and serve. */
int options_answer(int argc, char **argv);

#endif
