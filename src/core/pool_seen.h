/* What there is of a worker's pools, for people: its links by what they are used for and its
 * clients by what pins them are counted in gauges (model/metrics.def), brought in line where
 * something may have changed; and its links are listed for the control thread, a few at a time. */
#ifndef ROUTER_CORE_POOL_SEEN_H
#define ROUTER_CORE_POOL_SEEN_H

#include "base/macros.h"
#include "core/pooled.h"
#include "model/messages.h"

struct message;

/* Its state or its use has changed. */
void link_seen(struct pool_link *l);
/* A client of a pool is there, or has gone. */
void pooled_seen_come(struct pooled *p);
void pooled_seen_gone(struct pooled *p);

#define SEEN_HELD 32768 /* in pooled.seen_as, beside its pins */
void pooled_count(struct pooled *p, uint16_t now);

/* Its pins may have changed, or whether it waits. */
static inline void pooled_seen(struct pooled *p)
{
    uint16_t now = (uint16_t)(p->pins | (list_empty(&p->held) ? 0 : SEEN_HELD));
    if (UNLIKELY(now != p->seen_as)) {
        pooled_count(p, now);
    }
}

/* struct message_pool; see worker_inbox. */
void show_pool(struct message *m, void *worker);
/* A link is being closed: where a list goes on is not there. */
void show_pool_forget(struct worker *w, const struct list *node);
/* A user's name, of which clients choose every byte, for a row. */
void pool_row_user(const char *name, size_t len, char out[POOL_USER_MAX]);

#endif
