#include "net/deadline.h"

#include "base/macros.h"
#include "net/loop.h"

void deadline_list_init(struct deadline_list *l, struct loop *loop, uint64_t after_ms,
                        void (*expire)(struct deadline *d))
{
    *l = (struct deadline_list){.loop = loop, .after_ms = after_ms, .expire = expire};
    list_init(&l->items);
    list_append(&loop->deadline_lists, &l->node);
}

void deadline_list_remove(struct deadline_list *l)
{
    assert(list_empty(&l->items));
    list_remove(&l->node);
}

/* All move by the same amount, so that the list stays sorted. */
void deadline_list_change(struct deadline_list *l, uint64_t after_ms)
{
    uint64_t before_ms = l->after_ms;
    l->after_ms = after_ms;
    if (after_ms == before_ms) {
        return;
    }
    LIST_EACH(it, &l->items)
    {
        struct deadline *d = container_of(it, struct deadline, node);
        if (after_ms == 0) {
            deadline_disarm(l, d);
        } else {
            d->due_ms += after_ms - before_ms;
        }
    }
}

void deadline_init(struct deadline *d)
{
    list_init(&d->node);
}

void deadline_arm(struct deadline_list *l, struct deadline *d)
{
    loop_assert(l->loop);
    if (l->after_ms == 0) {
        return;
    }
    uint64_t due_ms = loop_now_ms(l->loop) + l->after_ms;
    if (!deadline_is_armed(d)) {
        loop_deadline_armed(l->loop);
    } else if (d->due_ms == due_ms) { /* its place is as good as any other of this moment */
        return;
    } else {
        list_remove(&d->node);
    }
    d->due_ms = due_ms;
    list_append(&l->items, &d->node);
}

void deadline_disarm(struct deadline_list *l, struct deadline *d)
{
    if (deadline_is_armed(d)) {
        list_remove(&d->node);
        loop_deadline_disarmed(l->loop);
    }
}

void deadline_list_expire(struct deadline_list *l)
{
    uint64_t now = loop_now_ms(l->loop);
    while (!list_empty(&l->items)) {
        struct deadline *d = container_of(l->items.next, struct deadline, node);
        if (d->due_ms > now) {
            return;
        }
        deadline_disarm(l, d);
        l->expire(d);
    }
}
