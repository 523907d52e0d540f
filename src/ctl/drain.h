/* The end of a router in steps: /readyz says 503 and everything else goes on (shutdown_delay); no
 * listener accepts any more, sessions finish, servers are probed and fenced as ever
 * (drain_timeout); what is left is closed and counted; the workers end, then the control loop.
 * Control thread only. The public beginning of it is control_drain(). */
#ifndef ROUTER_CTL_DRAIN_H
#define ROUTER_CTL_DRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct control;

struct drain {
    uv_timer_t timer;  /* the end of shutdown_delay; then looks whether the drain is over */
    uint64_t until_ms; /* loop time */
    bool doors_closed; /* topologies say that nobody new comes in */
    bool timed_out;    /* drain_timeout is over, and sessions were left */
};

void drain_init(struct control *c);
/* All workers have ended: says how many sessions of which frontend drain_timeout has closed. */
void drain_tell(struct control *c);
/* Closes the timer. */
void drain_end(struct control *c);

#endif
