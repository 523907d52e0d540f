/* How many sessions this machine lets a configuration have: descriptors and memory. */
#ifndef ROUTER_CAPACITY_H
#define ROUTER_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>

struct config;

struct capacity {
    unsigned workers; /* given */
    size_t sockets;   /* given: that listen */
    unsigned max_sessions;
    unsigned refusing_max; /* clients that each worker refuses at once */
};

/* 0, or UV_EMFILE with one line in `why`. */
int capacity_find(struct capacity *c, const struct config *config, char *why, size_t why_size);
/* Whether a protocol in use has requests to cancel. */
bool capacity_knows_cancelling(const struct config *config);
/* Whether a frontend limits by client address. */
bool capacity_limits_by_address(const struct config *config);

#endif
