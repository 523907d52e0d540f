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

#define BALANCE_UNIT 65536 /* one weight unit in round robin's memory */

/* Each returns a position in `c` (count > 0).
 *
 * Smooth weighted round robin: `current` (indexed by candidate.server) is the caller's memory, in
 * BALANCE_UNITs; what it starts with, below one unit, breaks ties. */
size_t balance_round_robin(const struct candidate *c, size_t count, int64_t *current);
/* The least loaded for its weight after it took this one; ties: the first. */
size_t balance_least_connections(const struct candidate *c, size_t count);
/* Two different ones drawn by weight, the less loaded of them. */
size_t balance_random(const struct candidate *c, size_t count, uint64_t *random_state);
/* The next number of a random sequence (splitmix64); any state will do. */
uint64_t balance_random_next(uint64_t *random_state);
/* Weighted rendezvous hashing: needs no state, moves only the clients of a server that goes. */
size_t balance_ip_hash(const struct candidate *c, size_t count, uint64_t client_hash);

#endif
