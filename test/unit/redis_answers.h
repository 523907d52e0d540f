/* What INFO's sections look like, as far as the probe reads them, and what is compared of two
 * observations. */
#ifndef TEST_REDIS_ANSWERS_H
#define TEST_REDIS_ANSWERS_H

#include <stdbool.h>
#include <string.h>

#include "model/observation.h"

/* Member by member: padding has no value. */
static inline bool same_observation(const struct observation *a, const struct observation *b)
{
    return a->reach == b->reach && a->claim == b->claim && a->usable == b->usable &&
           a->link_up == b->link_up && a->syncing == b->syncing &&
           a->link_idle_ms == b->link_idle_ms && strcmp(a->identity, b->identity) == 0 &&
           strcmp(a->lineage.id, b->lineage.id) == 0 &&
           strcmp(a->lineage.previous_id, b->lineage.previous_id) == 0 &&
           a->lineage.previous_end == b->lineage.previous_end &&
           a->lineage.offset == b->lineage.offset && strcmp(a->follows, b->follows) == 0 &&
           strcmp(a->why, b->why) == 0;
}

#define ID_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID_R  "1234567890123456789012345678901234567890"
#define ZEROS "0000000000000000000000000000000000000000"

#define SERVER      "# Server\r\nredis_version:7.0.15\r\nrun_id:" ID_R "\r\ntcp_port:6379\r\n"
#define PERSISTENCE "# Persistence\r\nloading:0\r\nasync_loading:0\r\n"
#define MASTER                                                                                     \
    "# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"  \
    "master_replid:" ID_A "\r\nmaster_replid2:" ZEROS "\r\nmaster_repl_offset:1234\r\n"            \
    "second_repl_offset:-1\r\n"
#define REPLICA                                                                                    \
    "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n"                  \
    "master_link_status:up\r\nmaster_last_io_seconds_ago:2\r\nmaster_sync_in_progress:0\r\n"       \
    "slave_read_repl_offset:900\r\nslave_repl_offset:900\r\nmaster_replid:" ID_A "\r\n"            \
    "master_replid2:" ID_B "\r\nmaster_repl_offset:900\r\nsecond_repl_offset:700\r\n"

#endif
