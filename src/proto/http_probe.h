/* Probes that speak HTTP/1.1 (RFC 9112). Found by ctl/ through here. */
#ifndef ROUTER_PROTO_HTTP_PROBE_H
#define ROUTER_PROTO_HTTP_PROBE_H

#include "router_proto.h"

/* setup->http asked of setup->host; ANSWERED if the status is one of setup->http_expect, REFUSED
 * with the status in words if not. No roles. */
extern const struct probe_dialogue http_probe;

/* Patroni's REST API (its manual, "Patroni REST API"): /primary, and /replica with the lag bound.
 * Fills `authority` and `readable` and nothing else but reach and why. */
extern const struct probe_dialogue patroni_probe;

#endif
