/* What one probe of one server learnt, with its evidence and time. Plain values, copied freely.
 *
 * The families of servers tell different things. Redis names its histories itself (`lineage`);
 * MySQL, MariaDB and PostgreSQL tell whom they follow (`id`, `channels`) and how far they are; the
 * members of a group or of a Galera cluster tell what the others are to them (`peers`). The census
 * (model/census.h) reads what the observations of a backend mean together. */
#ifndef ROUTER_MODEL_OBSERVATION_H
#define ROUTER_MODEL_OBSERVATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/gtid.h"
#include "model/greeting.h"

#define REPLID_MAX    48 /* Redis run_id, master_replid: 40 hex digits; a UUID: 36; and NUL */
#define WHY_MAX       160
#define PEER_TEXT_MAX 128
#define CHANNELS_MAX  4

/* How the server met the probe. */
enum reach {
    REACH_UNASKED,  /* no probe has ended yet */
    REACH_ANSWERED, /* the dialogue was completed */
    REACH_SILENT,   /* accepts connections (or did not refuse them) but did not answer in time */
    REACH_REFUSED,  /* the connect failed, or the connection was cut */
    REACH_DENIED,   /* it answers, but will not tell us: credentials, ACL, limits, nonsense */
};

/* How far the probe came. */
enum probe_stage {
    STAGE_CONNECT, /* to the connect, and no further if that is all */
    STAGE_TLS,
    STAGE_ASK,
};

enum claim { CLAIM_NONE, CLAIM_PRIMARY, CLAIM_REPLICA };

/* Redis' replication history: INFO replication's master_replid, master_replid2,
 * second_repl_offset and master_repl_offset. */
struct lineage {
    char id[REPLID_MAX];
    char previous_id[REPLID_MAX]; /* empty if all zeros: never part of another history */
    int64_t previous_end;         /* second_repl_offset: first offset of `previous_id` that this
                                   * server does not share; -1 = none */
    int64_t offset;               /* how far this server is in `id` */
};

/* How a server takes part in its backend's replication: what else its observation holds. */
enum part {
    PART_LINEAGE, /* Redis: claim, link_up, follows and lineage are its own words */
    PART_SOURCE,  /* MySQL, MariaDB, PostgreSQL: `id`, `channels`, `term`, `position`, `gtids` */
    PART_GROUP,   /* Group Replication: claim says PRIMARY, ONLINE and in a majority; `term` */
    PART_GALERA,  /* claim: synced and in the Primary component, so it could be the writer */
};

/* Whom a server replicates from (PART_SOURCE): a row of SHOW REPLICA STATUS, or the WAL receiver.
 */
struct channel {
    char source_id[REPLID_MAX]; /* the `id` of its source, empty if not known */
    char source[PEER_TEXT_MAX]; /* "host:port" */
    bool running;               /* connected, and applying what it gets */
};

/* What somebody who decides about primaries says of this server. */
enum word {
    WORD_NONE, /* nothing, or it was not asked */
    WORD_YES,
    WORD_NO,
};

struct observation {
    enum reach reach;
    enum probe_stage stage;
    unsigned code; /* HTTP: the status; 0 = none */
    enum part part;
    bool probation;            /* set for the election: not up yet (probe_rise), so its claim does
                                * not count */
    bool barred;               /* set for the election: the operator has taken it out, so its claim
                                * does not count */
    enum claim claim;          /* what it says it is; valid if reach is ANSWERED */
    bool usable;               /* CLAIM_PRIMARY: could take writes now (not loading, no failover) */
    bool link_up;              /* CLAIM_REPLICA: master_link_status:up */
    bool syncing;              /* CLAIM_REPLICA: master_sync_in_progress */
    uint64_t link_idle_ms;     /* CLAIM_REPLICA: since it last heard from its primary */
    char identity[REPLID_MAX]; /* of the process: changes with every start (run_id) */
    struct lineage lineage;
    char follows[PEER_TEXT_MAX]; /* CLAIM_REPLICA: "host:port" of its primary, as it says */

    char id[REPLID_MAX]; /* PART_SOURCE: the server's lasting name (server_uuid, server_id);
                          * PART_GROUP, PART_GALERA: its name among the members; empty = none */
    bool writable;       /* PART_SOURCE: takes writes by its own settings (read_only = 0, not in
                          * recovery). Whether that is a claim depends on its channels: the census
                          * sets claim, usable, link_up, follows and lineage from them. */
    struct channel channels[CHANNELS_MAX];
    unsigned channel_count;
    char group[REPLID_MAX]; /* PART_GROUP, PART_GALERA: the group's name; PostgreSQL: the system
                             * identifier. Members of different ones share no data */
    uint64_t term;          /* PostgreSQL: timeline; PART_GROUP: number of the view; PART_GALERA:
                             * wsrep_cluster_conf_id; 0 = not known */
    unsigned index;         /* PART_GALERA: wsrep_local_index */
    unsigned members;       /* PART_GROUP, PART_GALERA: how many it sees */
    int64_t position;       /* PostgreSQL: LSN written, or replayed; -1 = not known */
    struct gtid_set gtids;
    int64_t behind_ms;   /* how far a replica says that it is behind; -1 = it does not say */
    enum word authority; /* Patroni: has the leader's lock; Group Replication: the majority is with
                          * it */
    struct greeting greeting; /* MySQL: how this connection began, however the probe ended */
    enum word readable;       /* Patroni: may be read as a replica */

    uint64_t asked;    /* when the question was sent and when the answer was complete, on the */
    uint64_t answered; /* control thread's one counter: a < b means before */
    uint64_t asked_ms; /* loop time of the question, or somewhat before */
    uint64_t at_ms;    /* loop time of the answer */
    uint64_t latency_us;
    unsigned failures;  /* probes in a row that were not ANSWERED, 0 after an answer */
    unsigned successes; /* probes in a row that were, 0 after a failure */
    char why[WHY_MAX];  /* for people: why not usable, refused, denied ... empty if all is well */
};

/* A new one, of a question that is asked now: how the last ones went is remembered. */
void observation_begin(struct observation *o, uint64_t stamp);
/* Nothing was learnt, for this reason. */
void observation_fail(struct observation *o, enum reach reach, const char *why);
/* It is complete: counts it. */
void observation_end(struct observation *o, uint64_t stamp, uint64_t now_ms, uint64_t latency_us);

#endif
