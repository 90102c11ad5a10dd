#ifndef CONFAB_CTL_CHECK_H
#define CONFAB_CTL_CHECK_H
/* What confabctl check looks at. Each check says one line, which for a fault tells what to do. */

#include "confabctl/ctl.h"

struct check {
    struct ctl *ctl;
    int         faults;
};

void check_ok(struct check *k, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Works, but somebody should know. */
void check_note(struct check *k, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void check_fault(struct check *k, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Turns the loop until the check that was begun calls check_end. */
void check_wait(struct check *k);
void check_end(struct check *k);

void check_model(struct check *k);      /* check_model.c */
void check_google(struct check *k);     /* check_google.c */

#endif
