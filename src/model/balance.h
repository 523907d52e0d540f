/* The balance algorithms over the servers that may serve: pure functions on small arrays. */
#ifndef ROUTER_MODEL_BALANCE_H
#define ROUTER_MODEL_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "model/config.h"

struct candidate {
    uint16_t server;      /* index in the backend */
    uint32_t weight;      /* 1..256 */
    uint32_t connections; /* now, over all workers */
    uint64_t name_hash;   /* hash_bytes() of the server's name */
};

/* Each returns a position in `c` (count > 0).
 *
 * Smooth weighted round robin: `current` (indexed by candidate.server) is the caller's memory. */
size_t balance_round_robin(const struct candidate *c, size_t count, int64_t *current);
size_t balance_least_connections(const struct candidate *c, size_t count); /* by weight; ties: first */
size_t balance_random(const struct candidate *c, size_t count, uint64_t *random_state);
/* Weighted rendezvous hashing: needs no state, moves only the clients of a server that goes. */
size_t balance_ip_hash(const struct candidate *c, size_t count, uint64_t client_hash);

#endif
