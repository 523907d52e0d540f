/* The beginning of a session with PostgreSQL, as it passes through the workers (manual, "Message
 * Flow"). The client speaks first and may ask for encryption, or to cancel what another session
 * does; it ends with the server's first ReadyForQuery or ErrorResponse, or where encryption begins.
 */
#ifndef ROUTER_PROTO_PGSQL_WATCH_H
#define ROUTER_PROTO_PGSQL_WATCH_H

#include "router_proto.h"

extern const struct login_dialogue pgsql_login;

#endif
