/* The slowest commands of pooled clients on this worker, of the last hour: what they are called and
 * how large they and their replies were, not what they said. To look whether one belongs there
 * costs a command next to nothing. Those that wait by their nature (BLPOP, WAIT, SUBSCRIBE) do not.
 */
#ifndef ROUTER_CORE_SLOW_H
#define ROUTER_CORE_SLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/messages.h"
#include "proto/redis_catalog.h"

#define SLOW_STALE_MS 3600000 /* an entry that is older gives way to any other */

struct flight;
struct pooled;
struct redis_reply;

struct slow_list {
    size_t count;
    uint32_t floor_us; /* who takes no longer does not come in */
    uint64_t stale_ms; /* ... before the oldest one is stale; loop time */
    struct slow_row rows[SLOW_KEPT];
};

/* A long command, which is passed on as it comes, on its way: first in, first out. */
struct slow_large {
    struct slow_large *next;
    uint64_t bytes;
    char name[SLOW_NAME_MAX];
};

void slow_init(struct slow_list *l);
/* Whether one that took so long comes in now. */
static inline bool slow_wants(const struct slow_list *l, uint32_t took_us, uint64_t now_ms)
{
    return took_us > l->floor_us || now_ms >= l->stale_ms;
}
/* Its place, to be filled in but for took_us and at_ms; slow_wants() has said yes. A stale one
 * gives way, or else the fastest. */
struct slow_row *slow_place(struct slow_list *l, uint32_t took_us, uint64_t now_ms);

/* A command of these is not measured. */
static inline bool slow_is_waiting(uint8_t kind)
{
    const uint32_t waiting = 1U << REDIS_BLOCKS | 1U << REDIS_WAITS | 1U << REDIS_OWN |
                             1U << REDIS_SUBSCRIBE | 1U << REDIS_UNSUBSCRIBE;
    return (waiting >> kind & 1) != 0;
}

/* The command that is answered: its bytes are still kept. */
void slow_note(struct pooled *p, const struct flight *f, const struct redis_reply *r,
               uint32_t took_us);
/* A command begins that is not kept, and is over; its reply is there. */
void slow_large_begins(struct pooled *p, const char *name);
void slow_large_ends(struct pooled *p);
void slow_large_answered(struct pooled *p);
void slow_large_free(struct pooled *p);

/* struct message_slow; see worker_inbox. */
void show_slow(struct message *m, void *worker);

#endif
