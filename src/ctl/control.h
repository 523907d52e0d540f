/* The control thread: asks the servers, elects, publishes topologies, fences, keeps the queues,
 * serves the admin address. Everything in these structs belongs to this thread. */
#ifndef ROUTER_CTL_CONTROL_H
#define ROUTER_CTL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "ctl/events.h"
#include "ctl/probe.h"
#include "model/election.h"
#include "model/metrics.h"
#include "model/route.h"
#include "model/topology.h"
#include "net/loop.h"

struct admin;

/* How the control thread sees a worker. */
struct control_worker {
    struct mailbox *mailbox;       /* borrowed; the worker's */
    const struct metrics *metrics; /* borrowed; the worker's */
    uint64_t acked;                /* newest generation it has acted upon */
};

/* What has been published about a server and may not be forgotten (see fence.c). */
struct server_fence {
    bool exposed;              /* was published as a primary; nobody has vouched yet that nothing
                                * more goes to it */
    uint64_t fenced_at;        /* generation that took it back; 0 = none yet */
};

struct server_control {
    const struct server_config *config;
    struct probe *probe;           /* owned; NULL with probe = off */
    struct observation seen;       /* the newest */
    struct server_fence fence;
    bool suspect;                  /* a worker could not connect; no new sessions until the next probe */
    bool up;                       /* by probe_rise and probe_fall */
    uint64_t changed_ms;           /* when its published state last changed, loop time */
    char reason[WHY_MAX];          /* why it is in the published state, for people */
};

struct backend_control {
    struct control *control;
    const struct backend_config *config;
    struct server_control *servers;
    struct election_memory memory;
    struct verdict verdict;        /* the newest; with roles only */
    struct list waiters;           /* struct waiter, first come first */
    struct balance_state balance;
    bool fast;                     /* probing at probe_fast_interval */
    bool publish_again;            /* an acknowledgement is awaited before the next step */
    uint64_t held_since_ms;        /* writes wait since; 0 = they do not */
};

struct control {
    struct loop loop;
    const struct config *config;   /* borrowed */
    struct shared *shared;         /* borrowed */
    struct control_worker *workers;
    unsigned worker_count;
    struct topology *published;    /* ref */
    struct backend_control *backends;
    struct events events;
    struct admin *admin;           /* owned; NULL if off */
    uint64_t stamp;                /* counts questions and answers of probes */
    uint64_t started_ms;           /* loop time */
    uint64_t started_unix;
    bool draining;
    bool first_round_over;         /* every backend with roles had its first election round */
};

/* Whether clients are served in principle: /readyz. */
bool control_ready(const struct control *c);

#endif
