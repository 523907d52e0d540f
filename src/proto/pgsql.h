/* PostgreSQL, for the inside of proto/: the dialogue that asks a server for its role. */
#ifndef ROUTER_PROTO_PGSQL_H
#define ROUTER_PROTO_PGSQL_H

#include "router_proto.h"

/* Logs in (protocol 3.0) and stays logged in; asks whether the server is in recovery, its timeline
 * and position, whom it follows. Reach and why as mysql_probe (proto/mysql.h). */
extern const struct probe_dialogue pgsql_probe;

#endif
