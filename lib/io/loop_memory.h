#ifndef CONFAB_LOOP_MEMORY_H
#define CONFAB_LOOP_MEMORY_H
/* Inside of loop.c: a place of its own for the small things that libevent keeps for ever.
 *
 * For every descriptor that was ever watched libevent keeps some 24 bytes. Allocated while a
 * thousand streams begin, each lies among the memory of a stream, and holds its page when the
 * stream has ended: 10,000 of them are 40 MB that never go back. */

void loop_memory_init(void);    /* before anything else of libevent; more than once is harmless */

#endif
