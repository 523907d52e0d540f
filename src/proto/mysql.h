/* MySQL and MariaDB, for the inside of proto/: the dialogue that asks a server for its role. */
#ifndef ROUTER_PROTO_MYSQL_H
#define ROUTER_PROTO_MYSQL_H

#include "router_proto.h"

/* Logs in and stays logged in; asks by SQL what the server is, by setup->mysql_topology or by what
 * it says itself. On PROBE_STEP_DONE the observation's reach is ANSWERED. On PROBE_STEP_FAIL it is
 * DENIED, SILENT where the server is only too busy, or REFUSED where it ended our session, with why
 * in words: which statement failed, and which GRANT it needs. asked, answered, at_ms, latency_us,
 * failures and successes are left alone.
 *
 *  - A password is only sent as it is over TLS or on a unix socket; else it is proven, or encrypted
 *    with the key that the server sends, which nobody vouches for.
 *  - `identity` is the server's id and the second in which its process started. It is empty where a
 *    node of Galera without its cluster does not say when that was.
 *  - `term` of a group is the second of its bootstrap (upper 32 bits) and the number of its view:
 *    later is more, within one bootstrap and over several.
 *  - A server with more channels than an observation holds is never writable.
 *  - `gtids` are not known of a MariaDB without log_bin or log_slave_updates, whose binary log
 *    leaves out what it replicated, nor of a MySQL whose gtid_mode is not ON.
 *
 * start() fails only when out of memory. The account is copied by the start() that logs in: a
 * kept connection stays what it is, and a new password counts from the next one on. */
extern const struct probe_dialogue mysql_probe;

#endif
