/* MySQL and MariaDB, for the inside of proto/: the dialogue that asks a server for its role. */
#ifndef ROUTER_PROTO_MYSQL_H
#define ROUTER_PROTO_MYSQL_H

#include "router_proto.h"

/* Logs in and stays logged in; asks by SQL what the server is, by setup->mysql_topology or by what
 * it says itself. On PROBE_STEP_DONE the observation's reach is ANSWERED; on PROBE_STEP_FAIL it is
 * DENIED (or SILENT where the server is only too busy), with why in words: which statement failed,
 * and which GRANT it needs. asked, answered, at_ms, latency_us, failures and successes are left
 * alone. */
extern const struct probe_dialogue mysql_probe;

#endif
