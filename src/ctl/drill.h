/* A drill: for some seconds this router treats a backend's primary as lost, and nothing is done to
 * any server. Living sessions stand still, new ones wait; then all goes on, and a report says what
 * clients have felt, and what a real loss would have done beyond that.
 *
 * It belongs to its backend, one at a time. It ends by itself, whoever waits for the report; at
 * once, when the election says anything else than that this server is the primary. After it the
 * report waits for those who waited to be served. Control thread only. */
#ifndef ROUTER_CTL_DRILL_H
#define ROUTER_CTL_DRILL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define DRILL_SECONDS_MAX 60

struct backend_control;
struct topology_backend;
struct waiter;

/* Takes over the report. Exactly once, from the loop. */
typedef void (*drill_done)(void *context, struct text *report);

/* NULL, or why it cannot begin now. `force`: even if clients may have to wait for longer than
 * queue_timeout and be refused. */
const char *drill_why_not(const struct backend_control *b, unsigned seconds, bool force);
/* Begins it; `seconds` is from 1 to DRILL_SECONDS_MAX. */
void drill_begin(struct backend_control *b, unsigned seconds, const char *who, drill_done done,
                 void *context);
bool drill_is_on(const struct backend_control *b);
/* Ends it now, if it is on; fence_publish() is to follow. */
void drill_stop(struct backend_control *b, const char *why);
/* The router ends: reports at once. */
void drill_abandon(struct backend_control *b);

/* For those who know what happens meanwhile: there was an election; a topology is composed; a
 * client waits, or does not wait any more. */
void drill_elected(struct backend_control *b);
void drill_compose(struct backend_control *b, struct topology_backend *out);
void drill_waits(struct backend_control *b, struct waiter *w);
void drill_served(struct backend_control *b, const struct waiter *w);

#endif
