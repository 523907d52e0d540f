/* Asks one server, again and again, what it is: connects, runs the protocol's dialogue (or only the
 * connect), reports an observation, waits, asks again. Control thread only. */
#ifndef ROUTER_CTL_PROBE_H
#define ROUTER_CTL_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/config.h"
#include "model/observation.h"

struct loop;
struct probe;

struct probe_events {
    /* A probe ended; `o` is borrowed until the return. failures/successes are filled in. */
    void (*on_observation)(void *context, size_t server, const struct observation *o);
    /* A kept connection was lost between two probes: a new probe follows at once. */
    void (*on_lost)(void *context, size_t server);
};

/* `stamp` is the counter for observation.asked and .answered, shared by all probes. NULL: memory.
 */
struct probe *probe_new(struct loop *l, const struct backend_config *backend, size_t server,
                        const struct probe_events *events, void *context, uint64_t *stamp);
void probe_start(struct probe *p);
/* Asks now, or right after the question that is under way (whose answer is older than this call).
 */
void probe_now(struct probe *p);
void probe_set_interval(struct probe *p, uint64_t interval_ms);
void probe_close(struct probe *p); /* frees itself later, from the loop */

#endif
