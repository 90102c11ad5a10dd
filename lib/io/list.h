#ifndef CONFAB_LIST_H
#define CONFAB_LIST_H
/* A circular list whose links lie in their owners: a member leaves it without knowing
 * which list it is in. An empty list's head points to itself. */

#include <stdbool.h>
#include <stddef.h>

struct list { struct list *prev, *next; };

#define list_owner(link, type, member) \
    ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push(struct list *l, struct list *link)
{
    link->prev = l->prev;
    link->next = l;
    l->prev->next = link;
    l->prev = link;
}

/* The link is then alone, and may be taken out again. */
static inline void list_take(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Moves all members of `from` behind those of `to`. */
static inline void list_move(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
