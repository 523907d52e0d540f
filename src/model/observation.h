/* What one probe of one server learnt, with its evidence and time. Plain values, copied freely. */
#ifndef ROUTER_MODEL_OBSERVATION_H
#define ROUTER_MODEL_OBSERVATION_H

#include <stdbool.h>
#include <stdint.h>

#define REPLID_MAX    41 /* Redis run_id, master_replid: 40 hex digits and NUL */
#define WHY_MAX       160
#define PEER_TEXT_MAX 128

/* How the server met the probe. */
enum reach {
    REACH_UNASKED,  /* no probe has ended yet */
    REACH_ANSWERED, /* the dialogue was completed */
    REACH_SILENT,   /* accepts connections (or did not refuse them) but did not answer in time */
    REACH_REFUSED,  /* the connect failed, or the connection was cut */
    REACH_DENIED,   /* it answers, but will not tell us: credentials, ACL, limits, nonsense */
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

struct observation {
    enum reach reach;
    enum claim claim;          /* what it says it is; valid if reach is ANSWERED */
    bool usable;               /* CLAIM_PRIMARY: could take writes now (not loading, no failover) */
    bool link_up;              /* CLAIM_REPLICA: master_link_status:up */
    bool syncing;              /* CLAIM_REPLICA: master_sync_in_progress */
    uint64_t link_idle_ms;     /* CLAIM_REPLICA: since it last heard from its primary */
    char identity[REPLID_MAX]; /* of the process: changes with every start (run_id) */
    struct lineage lineage;
    char follows[PEER_TEXT_MAX]; /* CLAIM_REPLICA: "host:port" of its primary, as it says */
    uint64_t asked;    /* when the question was sent and when the answer was complete, on the */
    uint64_t answered; /* control thread's one counter: a < b means before */
    uint64_t at_ms;    /* loop time of the answer */
    uint64_t latency_us;
    unsigned failures;  /* probes in a row that were not ANSWERED, 0 after an answer */
    unsigned successes; /* probes in a row that were, 0 after a failure */
    char why[WHY_MAX];  /* for people: why not usable, refused, denied ... empty if all is well */
};

#endif
