/* What the probe reads from INFO's sections: picks its fields out of the text, checks them and
 * makes an observation. Plain data, no allocation. */
#ifndef ROUTER_PROTO_REDIS_INFO_H
#define ROUTER_PROTO_REDIS_INFO_H

#include <stdbool.h>
#include <stddef.h>

struct observation;

/* FIELD(section, NAME, name in the text) */
#define REDIS_INFO_FIELDS(FIELD)                                                                   \
    FIELD(SERVER, RUN_ID, "run_id")                                                                \
    FIELD(PERSISTENCE, LOADING, "loading")                                                         \
    FIELD(PERSISTENCE, ASYNC_LOADING, "async_loading")                                             \
    FIELD(REPLICATION, ROLE, "role")                                                               \
    FIELD(REPLICATION, FAILOVER_STATE, "master_failover_state")                                    \
    FIELD(REPLICATION, REPLID, "master_replid")                                                    \
    FIELD(REPLICATION, REPLID2, "master_replid2")                                                  \
    FIELD(REPLICATION, REPL_OFFSET, "master_repl_offset")                                          \
    FIELD(REPLICATION, SECOND_OFFSET, "second_repl_offset")                                        \
    FIELD(REPLICATION, MASTER_HOST, "master_host")                                                 \
    FIELD(REPLICATION, MASTER_PORT, "master_port")                                                 \
    FIELD(REPLICATION, LINK_STATUS, "master_link_status")                                          \
    FIELD(REPLICATION, LAST_IO, "master_last_io_seconds_ago")                                      \
    FIELD(REPLICATION, SYNCING, "master_sync_in_progress")                                         \
    FIELD(REPLICATION, REPLICA_OFFSET, "slave_repl_offset")

enum redis_info_section { INFO_SERVER, INFO_PERSISTENCE, INFO_REPLICATION };

enum redis_info_field {
#define FIELD(section, name, text) INFO_##name,
    REDIS_INFO_FIELDS(FIELD)
#undef FIELD
        REDIS_INFO_COUNT
};

#define REDIS_INFO_VALUE_MAX 112 /* a longer value counts as malformed */

struct redis_info_value {
    bool seen;
    char text[REDIS_INFO_VALUE_MAX]; /* ends in NUL; empty if malformed */
};

/* Start from a zeroed struct. */
struct redis_info {
    struct redis_info_value values[REDIS_INFO_COUNT];
};

/* Takes the section's fields from one INFO reply. Of a field that comes twice the first counts. */
void redis_info_read(struct redis_info *info, enum redis_info_section section, const char *text,
                     size_t len);

/* Fills reach, claim and all that goes with them. NULL, or words why this is no answer ("answers
 * INFO without a role"): then `result` is not to be used. */
const char *redis_info_observe(const struct redis_info *info, struct observation *result);

#endif
