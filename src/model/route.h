/* Which server serves a session: eligibility by route, then the balance algorithm. Pure but for the
 * place it claims in the server's connection count. */
#ifndef ROUTER_MODEL_ROUTE_H
#define ROUTER_MODEL_ROUTE_H

#include "model/topology.h"

#define ROUTE_TRIED_MAX 16

/* A worker's memory for one backend. Zeroed at the start but for random_state. */
struct balance_state {
    int64_t *current; /* owned: smooth round robin's running weight of each server */
    uint64_t random_state;
};

struct route_request {
    size_t backend;
    enum route route; /* never ROUTE_AUTO */
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

enum route_result route_pick(const struct topology *t, struct shared *shared,
                             struct balance_state *state, const struct route_request *request,
                             size_t *server);

/* Whether a session of this route may stay on this server. */
bool route_allows(const struct topology *t, size_t backend, size_t server, enum route route);

#endif
