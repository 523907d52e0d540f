/* Which server serves a session: eligibility by route, then the balance algorithm. Pure but for the
 * place it claims in the server's connection count. */
#ifndef ROUTER_MODEL_ROUTE_H
#define ROUTER_MODEL_ROUTE_H

#include "model/balance.h"
#include "model/topology.h"

#define ROUTE_TRIED_MAX 12

/* One thread's memory for one backend. */
struct balance_state {
    int64_t *current;             /* owned: smooth round robin's running weight of each server */
    struct candidate *candidates; /* owned: scratch of route_pick(), a place for each server */
    size_t servers;               /* how many there is room for */
    bool shuffled;
    uint64_t random_state;
};

/* Makes its room when it is used. Give each thread a seed of its own: it also shuffles where round
 * robin begins, so that many threads with few sessions each do not all begin with the first server.
 * Seed 0 begins with the first. */
void balance_state_init(struct balance_state *state, uint64_t seed);
void balance_state_release(struct balance_state *state);

struct route_request {
    size_t backend;
    enum route route; /* never ROUTE_AUTO or ROUTE_SPLIT */
    enum fallback fallback;
    uint64_t client_hash;
    const uint16_t *tried; /* servers (index in the backend) to leave out */
    size_t tried_count;
};

enum route_result {
    ROUTE_FOUND, /* *server is claimed: release with shared_release() */
    ROUTE_FULL,  /* servers would do, but all are at their cap */
    ROUTE_NONE,  /* no server may serve this route now */
};

/* A replica route falls back only when no replica may serve (left) at all, not when they are full.
 * ip_hash sticks: when the client's server is full the answer is ROUTE_FULL. */
enum route_result route_pick(const struct topology *t, struct shared *shared,
                             struct balance_state *state, const struct route_request *request,
                             size_t *server);

/* The same for who has connections there already: the choice of the balance without a place, so
 * caps do not count, and it is ROUTE_FOUND or ROUTE_NONE. */
enum route_result route_choose(const struct topology *t, struct shared *shared,
                               struct balance_state *state, const struct route_request *request,
                               size_t *server);

/* One of the server's places, to be given back with shared_release(); false if it has no more. */
bool route_claim(struct shared *shared, const struct server_config *server);

/* For reads that must find the same server again: of the replicas that may be read the one that is
 * listed first, or by the request's fallback the primary. The request's route does not count. */
bool route_first_replica(const struct topology *t, const struct route_request *request,
                         size_t *server);

/* Whether a session of this route that is on this server may stay there. If not, the server's
 * access says how it ends. */
bool route_allows(const struct topology *t, size_t backend, size_t server, enum route route);

#endif
