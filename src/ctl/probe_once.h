/* `router --probe`: one round of the real probes and the real election, and what came of it. Runs a
 * control thread's loop without workers on the calling thread. */
#ifndef ROUTER_CTL_PROBE_ONCE_H
#define ROUTER_CTL_PROBE_ONCE_H

#include "router.h"

struct certificates;
struct config;

/* Who wants to know beside the reader of standard output: see include/router.h. */
struct probe_listener {
    void (*tell)(void *context, const struct router_probed *probed); /* NULL: nobody */
    void *context;
};

/* Prints to standard output. 0 if every frontend has a server, else 1. */
int probe_once(struct config *config, struct certificates *certificates,
               const struct probe_listener *listener);

#endif
