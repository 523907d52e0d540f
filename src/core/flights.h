/* Commands that were sent on a server's connection and are not answered yet, in their order: a ring
 * that grows as it must. */
#ifndef ROUTER_CORE_FLIGHTS_H
#define ROUTER_CORE_FLIGHTS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pooled;

enum {
    FLIGHT_OURS = 1,    /* the router's own; `kind` is an enum flight_step */
    FLIGHT_SECRET = 2,  /* its bytes hold a password */
    FLIGHT_GONE = 4,    /* its bytes were passed on and not kept */
    FLIGHT_QUEUED = 8,  /* between MULTI and EXEC */
    FLIGHT_UNSENT = 16, /* it never left: its link was lost before the turn was over */
};

struct flight {
    struct pooled *client; /* counted in its `flying`; NULL with FLIGHT_OURS */
    uint32_t bytes;        /* at the front of what its client keeps */
    uint32_t sent_us;      /* the low bits of uv_hrtime() / 1000 */
    uint32_t replies;      /* how many more it has: subscriptions have one for each channel */
    uint8_t kind;          /* enum redis_kind */
    uint8_t access;        /* enum redis_access */
    uint8_t flags;
    bool bare;      /* UNSUBSCRIBE without names */
    uint32_t asked; /* how many replies it has, all together; 0 = not known yet */
    uint8_t bits;   /* of TRACKING_ON and TRACKING_OFF: which one */
};

struct flights {
    struct flight *ring; /* owned; NULL until the first */
    uint32_t first;
    uint32_t count;
    uint32_t room; /* a power of two */
};

/* The new last one, not filled in. NULL: out of memory. */
struct flight *flights_add(struct flights *f);
void flights_release(struct flights *f);

static inline struct flight *flights_at(const struct flights *f, uint32_t i)
{
    assert(i < f->count);
    return &f->ring[(f->first + i) & (f->room - 1)];
}

static inline struct flight *flights_first(const struct flights *f)
{
    return f->count > 0 ? &f->ring[f->first] : NULL;
}

static inline void flights_drop(struct flights *f)
{
    assert(f->count > 0);
    f->first = (f->first + 1) & (f->room - 1);
    f->count--;
}

#endif
