/* The beginning of a session with MySQL or MariaDB, as it passes through the workers (MySQL's
 * source documentation, "Connection Phase"). It ends with the server's OK or ERR, or where TLS
 * begins.
 *
 * A server counts each login that breaks off against the address it came from, and locks that
 * address out after max_connect_errors of them (manual, "host_cache"). For it that is the router's
 * address, so only whole packets of clients that can be followed reach it, and a login that a
 * client leaves behind is finished in its place. Inside TLS neither can be done. */
#ifndef ROUTER_PROTO_MYSQL_WATCH_H
#define ROUTER_PROTO_MYSQL_WATCH_H

#include "router_proto.h"

extern const struct login_dialogue mysql_login;

#endif
