/* What a MySQL or MariaDB server told about itself in one probe: the questions, how their answers
 * are read, and what they mean, for the inside of proto/. Plain data; no text in it is longer than
 * it says or other than printable ASCII. */
#ifndef ROUTER_PROTO_MYSQL_FACTS_H
#define ROUTER_PROTO_MYSQL_FACTS_H

#include "model/observation.h"
#include "proto/mysql_packet.h"
#include "proto/mysql_rows.h"
#include "router_proto.h"

/* In the order in which they are asked; none is asked of everybody. */
enum mysql_question {
    MYSQL_ASK_SETTINGS,
    MYSQL_ASK_START, /* when the process started: once on each connection */
    MYSQL_ASK_GALERA,
    MYSQL_ASK_GROUP,
    MYSQL_ASK_CHANNELS,
    MYSQL_ASK_GTIDS, /* last, so that they are fresh */
    MYSQL_ASK_NOTHING,
};

/* Which words SHOW ... STATUS of replication takes. */
enum mysql_dialect {
    MYSQL_DIALECT_REPLICA, /* MySQL from 8.0.22 on */
    MYSQL_DIALECT_SLAVE,   /* before it */
    MYSQL_DIALECT_MARIADB,
};

struct mysql_settings {
    char server_uuid[REPLID_MAX]; /* MySQL */
    char server_id[REPLID_MAX];
    char group_name[REPLID_MAX]; /* Group Replication's, empty if it is not loaded */
    char gtid_mode[24];          /* MySQL */
    bool read_only;
    bool super_read_only;
    bool innodb_read_only;
    bool offline_mode;
    bool log_bin;
    bool log_replica_updates;
    bool single_primary;
    bool wsrep_on;
    bool wsrep_off; /* told to be OFF: Percona's says nothing */
    bool wsrep_desync;
    char wsrep_provider[8]; /* its beginning: empty, "none" or a path */
    char wsrep_reject_queries[16];
    char pxc_maint_mode[16];
};

struct mysql_galera {
    char ready[8];
    char cluster_status[24];
    char local_state[8];
    char local_state_comment[32];
    char cluster_size[24];
    char cluster_conf_id[24];
    char cluster_state_uuid[REPLID_MAX];
    char gcomm_uuid[REPLID_MAX];
    char local_index[24];
};

struct mysql_group {
    unsigned members;
    unsigned reachable; /* ONLINE or RECOVERING */
    bool found;         /* this server is among them */
    char state[24];
    char role[24];
    char view[64];
    char primary[PEER_TEXT_MAX];
};

struct mysql_facts {
    enum mysql_topology topology; /* as it is configured */
    enum mysql_dialect dialect;
    bool mariadb;
    const char *secret; /* borrowed: never to be told in `broken`; NULL = none */
    char started[24];   /* seconds since 1970, kept for as long as the connection is */
    struct mysql_settings settings;
    struct mysql_galera galera;
    struct mysql_group group;
    struct channel channels[CHANNELS_MAX];
    unsigned channel_count; /* may be more than fit */
    int64_t behind_ms;
    char broken[WHY_MAX]; /* why a channel does not run */
    struct gtid_set gtids;
};

/* Forgets all but what is true for as long as the connection is. */
void mysql_facts_renew(struct mysql_facts *f);

/* The question as SQL, in at most `size` bytes with its NUL; its length. */
size_t mysql_question_sql(const struct mysql_facts *f, enum mysql_question q, char *out,
                          size_t size);
/* As a person would name it, and what it takes to be allowed. */
const char *mysql_question_name(const struct mysql_facts *f, enum mysql_question q);
const char *mysql_question_grant(const struct mysql_facts *f, enum mysql_question q,
                                 struct mysql_text error);
/* What is read of its rows; the values stand in this order. */
const struct mysql_column *mysql_question_columns(enum mysql_question q, size_t *count);
/* False: that cannot be true. */
bool mysql_facts_row(struct mysql_facts *f, enum mysql_question q, const struct mysql_text *values);
/* What is to be asked after that, by what is known so far. */
enum mysql_question mysql_question_after(const struct mysql_facts *f, enum mysql_question q);

/* What it all means (mysql_verdict.c). NULL, or why it means nothing. */
const char *mysql_facts_observe(const struct mysql_facts *f, struct observation *o);
/* A node of Galera refused a question, with WSREP's words for it. */
void mysql_facts_unready(const struct mysql_facts *f, const char *words, struct observation *o);
bool mysql_is_galera(const struct mysql_settings *s);

#endif
