/* What a PostgreSQL server is asked about its role, and what its answer means. Works for a plain
 * LOGIN role on primaries and standbys of PostgreSQL 11 and later; what only pg_monitor may see is
 * NULL for it. */
#ifndef ROUTER_PROTO_PGSQL_ROLE_H
#define ROUTER_PROTO_PGSQL_ROLE_H

#include "model/observation.h"
#include "proto/pgsql_message.h"

/* Ends itself on the server soon after nobody waits for it any more. */
extern const char pgsql_role_question[];
/* The system identifier, which is read from a file and may fail while that is written. */
extern const char pgsql_group_question[];

/* How far a standby was behind on this connection: it has replayed all that it had received at
 * `caught_ms`. Server times; zeroed is new. */
struct pgsql_lag {
    int64_t mark;    /* what it had received ... */
    int64_t mark_ms; /* ... at this time; 0 = never */
    int64_t caught_ms;
};

/* Reads the DataRow that the reader holds into a fresh observation. Returns NULL, or in words what
 * is wrong with it. `user` is for advice about grants. */
const char *pgsql_role_read(const struct pgsql_reader *r, const char *user, struct pgsql_lag *lag,
                            struct observation *o);
/* False if the row is none of a system identifier. */
bool pgsql_group_read(const struct pgsql_reader *r, char group[REPLID_MAX]);

#endif
