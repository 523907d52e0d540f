/* The snapshot workers route by: who has which role and what may be done there. Immutable after
 * it was published; reference-counted; handed over by message. The parts that must outlive a
 * snapshot (counts against caps, who waits) are atomics in struct shared. */
#ifndef ROUTER_MODEL_TOPOLOGY_H
#define ROUTER_MODEL_TOPOLOGY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "model/config.h"
#include "model/greeting.h"

enum role { ROLE_UNKNOWN, ROLE_PRIMARY, ROLE_REPLICA };

/* What may be done on a server, from least to most. */
enum access {
    ACCESS_NONE,  /* no new sessions; living ones are reset */
    ACCESS_DRAIN, /* no new sessions; living ones are reset after on_demotion's duration */
    ACCESS_QUIET, /* no new sessions; living ones go on */
    ACCESS_PAUSE, /* no new sessions; living ones are paused both ways until it is decided */
    ACCESS_OPEN,  /* new sessions too */
};

struct topology_server {
    enum role role;
    enum access access;
    struct greeting greeting; /* MySQL: the last one that a probe read, also of one that is down */
};

struct topology_backend {
    int primary; /* index in the backend, or -1 */
    struct topology_server *servers;
};

struct topology {
    atomic_uint references;
    uint64_t generation;
    const struct config *config;        /* borrowed: outlives all snapshots */
    bool draining;                      /* listeners close, sessions finish */
    bool ending;                        /* ... and no other process takes their place */
    struct topology_backend backends[]; /* config->backend_count */
};

/* All servers unknown and ACCESS_NONE, generation 0, one reference. NULL if out of memory. */
struct topology *topology_new(const struct config *config);
struct topology *topology_ref(struct topology *t);
void topology_unref(struct topology *t);

/* How a router greets that stands before all servers of a backend: as its primary (of which
 * nothing is known: as the first one), with what all of them can do. False: it is not known of any.
 */
bool topology_greeting(const struct topology *t, size_t backend, struct greeting *out);

/* Counters shared by all threads, each with one purpose. */
struct shared_server {
    _Alignas(CACHE_LINE) atomic_uint connections; /* open or opening sockets */
    atomic_uint connections_peak;
    atomic_uint bound; /* 1 + how many this process may have, because another one has the rest
                        * (ctl/holdings.h); 0 = no such bound */
    _Atomic uint64_t caught_up_ms; /* a replica of Redis: all writes that were answered before are
                                    * on it (model/catch_up.h); 0 = that is not known */
    atomic_bool counted;  /* it may have counted a broken handshake against our address, which the
                           * probe is to take back; control clears it when it has told it so */
    atomic_uint pooled;   /* links of pool_mode = session, against pool_size */
    atomic_uint settling; /* those that were granted to waiters and are not logged in yet, as far as
                           * that can be seen */
};

struct shared_backend {
    _Alignas(CACHE_LINE) atomic_uint waiting[ROUTE_COUNT]; /* clients in the queue, by route;
                                                            * at ROUTE_AUTO all of them */
    atomic_uint waiting_peak;
    atomic_uint giving;   /* connections of pools of MySQL that are being closed for who waits */
    atomic_uint sessions; /* those that came for its servers, with one or not */
    atomic_uint sessions_peak;
    atomic_uint users;   /* whoever keeps the backend's index: sessions, requests to cancel */
    atomic_bool doubted; /* a role error was seen in passing; control clears it when it looks */
    atomic_bool write_awaited; /* a primary is new: control wants to hear of the first write to it,
                                * from whoever clears this */
};

struct shared_frontend {
    _Alignas(CACHE_LINE) atomic_uint sessions;
    atomic_uint sessions_peak;
    _Atomic uint64_t rate_tat_ns; /* session_rate: when the bucket is empty again (GCRA) */
    atomic_bool disabled;         /* by the operator: nobody new comes in; the control thread's */
};

struct shared_router {
    _Alignas(CACHE_LINE) atomic_uint sessions; /* all frontends, against shared.max_sessions */
    atomic_uint sessions_peak;
};

/* The way to those counters. They stay where they are for as long as the router runs; a change of
 * the configuration makes a new struct of this, with the same counters and some more. */
struct shared {
    unsigned max_sessions;
    struct shared_router *router;
    struct shared_frontend **frontends; /* by index */
    struct shared_backend **backends;   /* by index */
    struct shared_server **servers;     /* by server_config.id */
    size_t frontend_count;
    size_t backend_count;
    size_t server_count;
};

/* All zero. Never NULL: made at the start. */
struct shared *shared_new(const struct config *config, unsigned max_sessions);
/* For `config`: the counters of `old`, and behind them new ones that are zero. Of `old` only the
 * struct itself may be freed then (shared_forget). Never NULL. */
struct shared *shared_extend(const struct shared *old, const struct config *config,
                             unsigned max_sessions);
void shared_forget(struct shared *s); /* the way, not the counters */
void shared_free(struct shared *s);   /* all of it; NULL is fine */

/* Sequentially consistent: "count full, so I wait" on one thread and "count freed, does anybody
 * wait?" on another must not both miss each other.
 *
 * Takes one of at most `cap` places (0 = no cap). The count never exceeds the cap. */
bool shared_claim(atomic_uint *count, unsigned cap);
void shared_release(atomic_uint *count);
/* After a claim: the most that `count` ever was. Control may set it back. */
void shared_note_peak(atomic_uint *peak, const atomic_uint *count);

/* Whether a replica has what was written until `written_ms`, which is uv_hrtime() in ms when the
 * answer to the last write was there, not earlier; 0 = nothing was. */
static inline bool shared_has_caught_up(const struct shared_server *s, uint64_t written_ms)
{
    return written_ms == 0 ||
           written_ms < atomic_load_explicit(&s->caught_up_ms, memory_order_relaxed);
}

#endif
