/* Redis, for the inside of proto/: the dialogue that asks a server for its role. */
#ifndef ROUTER_PROTO_REDIS_H
#define ROUTER_PROTO_REDIS_H

#include "router_proto.h"

/* On PROBE_STEP_DONE the observation's reach is ANSWERED. On PROBE_STEP_FAIL it is DENIED, or
 * SILENT where the server is only too busy to say (loading, running a script), with why in words.
 * asked, answered, at_ms, latency_us, failures and successes are the caller's and left alone.
 *
 * start() fails only when out of memory. What it gave out stays whole until the next start() or
 * release(), so a slow connection may still be writing it while it is fed. An alias that is empty
 * (a disabled command) leaves QUIT out; AUTH and INFO are then sent under their own names. */
extern const struct probe_dialogue redis_probe;

#endif
