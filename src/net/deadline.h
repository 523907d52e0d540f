/* Timeouts by the thousand at the price of a list: all deadlines of one list last equally long, so
 * that the list is sorted by construction. One tick timer per loop looks at the heads; a deadline
 * fires at most LOOP_TICK_MS late. */
#ifndef ROUTER_NET_DEADLINE_H
#define ROUTER_NET_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;

struct deadline {
    struct list node;
    uint64_t due_ms;
};

struct deadline_list {
    struct list node;                   /* in the loop's lists */
    struct list items;                  /* of struct deadline, the next due first */
    struct loop *loop;                  /* borrowed */
    uint64_t after_ms;                  /* 0 = never: arming does nothing */
    void (*expire)(struct deadline *d); /* d is disarmed by then; may arm it anew */
};

void deadline_list_init(struct deadline_list *l, struct loop *loop, uint64_t after_ms,
                        void (*expire)(struct deadline *d));
void deadline_list_remove(struct deadline_list *l); /* must be empty */
/* Another time, for what is armed already too; 0 disarms it. */
void deadline_list_change(struct deadline_list *l, uint64_t after_ms);

/* `d` is zeroed or was armed before. */
void deadline_init(struct deadline *d);
/* (Re)starts the time: due after_ms from now. */
void deadline_arm(struct deadline_list *l, struct deadline *d);
void deadline_disarm(struct deadline_list *l, struct deadline *d);
void deadline_list_expire(struct deadline_list *l); /* the loop's tick calls this */
static inline bool deadline_is_armed(const struct deadline *d)
{
    return d->node.next != &d->node;
}

#endif
