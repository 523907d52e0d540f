/* What Redis Sentinels are asked and told to say (redis.io, "Sentinel with Redis clients" and
 * "Pub/Sub messages"). Found by ctl/ through here. */
#ifndef ROUTER_PROTO_SENTINEL_PROBE_H
#define ROUTER_PROTO_SENTINEL_PROBE_H

#include "router_proto.h"

/* Asks SENTINEL GET-MASTER-ADDR-BY-NAME for setup->master. ANSWERED: `follows` is "host:port" of
 * the primary that this Sentinel names; empty if it knows no such name (why says so). */
extern const struct probe_dialogue sentinel_probe;

#endif
