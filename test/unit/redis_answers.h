/* What INFO's sections look like, as far as the probe reads them. */
#ifndef TEST_REDIS_ANSWERS_H
#define TEST_REDIS_ANSWERS_H

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
