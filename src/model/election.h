/* Who may be written to: a pure function from observations, incumbent and remembered history to at
 * most one primary, with the reason in words. No I/O, no clock of its own, no allocation; the same
 * verdict for any order of the servers.
 *
 * The rules stand in src/README.md ("Who is the primary") and beside each step in election.c. What
 * they rest on (whose claim, whose votes, which history) is read off the observations by ballot.c
 * and lineage.c, and said in words by election_words.c. */
#ifndef ROUTER_MODEL_ELECTION_H
#define ROUTER_MODEL_ELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/config.h"
#include "model/lineage.h"
#include "model/observation.h"

#define ELECTION_REASON_MAX 240
#define ELECTION_NOBODY     (-1)

/* What the census (model/census.h) remembers of one server. */
struct census_memory {
    enum part part;      /* of its last answer */
    char id[REPLID_MAX]; /* as last heard; empty = never */
    /* The history that it has: the one that it writes, or followed last; and the one that it had
     * before it began to write its own. */
    char name[REPLID_MAX];
    char former[REPLID_MAX];
    /* The one that was not its own which it had last before that, however often it began anew. */
    char inherited[REPLID_MAX];
    struct lineage own;            /* the history that it began last */
    char own_identity[REPLID_MAX]; /* the process that began it */
    uint64_t own_since;            /* `answered` stamp of the observation that showed it first */
    bool subordinate;              /* it has had a channel from a member since */
    /* What it followed since, over a link that was up: which history, in which process, and the
     * first position that was not yet there when it was last seen. */
    char followed[REPLID_MAX];
    char followed_identity[REPLID_MAX];
    int64_t followed_end;
    char followed_source[PEER_TEXT_MAX];
};

/* What is remembered of one server between elections. */
struct server_memory {
    bool proven; /* was asked successfully at least once */
    /* The process that was last seen to replicate over a link that is up. A claim of the same
     * process is a promotion, that of another one a restart with whatever it found on its disk. */
    char replica_identity[REPLID_MAX];
    char unlinked_identity[REPLID_MAX]; /* the same, its link up or not */
    char lost_id[REPLID_MAX]; /* the history whose claim was known when another one was elected */
    char claimed_id[REPLID_MAX]; /* the history of its present claim; empty = it does not claim */
    uint64_t claimed_since;      /* `answered` stamp of the first observation with that claim */
    uint64_t lost_since;         /* claimed_since of its last claim that lost an election */
    bool defeated;               /* it lost one, in whatever process, and followed nobody since */
    /* Where it was in PostgreSQL's log when it was last seen in recovery, and the last timeline
     * that it told then. What it writes itself is no proof of what it has of others. */
    int64_t replica_position;
    uint64_t replica_term;
    /* It was the primary, or a majority named it, when another one was elected. A majority that has
     * not changed its mind since, as far as it is heard, says nothing new. */
    bool outvoted;
    struct census_memory census;
};

/* What an election remembers. Start from a zeroed struct with incumbent = ELECTION_NOBODY and
 * `servers` pointing to one zeroed server_memory for each server. Survives as plain data. */
struct election_memory {
    int incumbent;                         /* index of the last elected server */
    char elected_identity[REPLID_MAX];     /* its process */
    struct lineage elected;                /* its history, as last seen while it was accepted */
    uint64_t elected_term;                 /* its timeline (PostgreSQL), likewise */
    struct gtid_set elected_gtids;         /* its transactions, likewise */
    enum part elected_part;                /* whose rules it was elected by */
    char elected_group[REPLID_MAX];        /* its `group`: who has another one shares no data */
    bool stepped_down;                     /* it has said since that it is a replica */
    char elected_why[ELECTION_REASON_MAX]; /* in words */
    uint64_t contested_since_ms;           /* 0 = not contested */
    uint64_t started_ms;                   /* when the first election ran; 0 = never */
    struct lineage_book histories;         /* promotions seen, and which of them lost */
    struct server_memory *servers;         /* borrowed */
};

/* Who is trusted to decide about primaries beside the servers themselves: all Sentinels, Patroni's
 * lock, a group's majority. A server must claim the role itself all the same. */
struct authority {
    unsigned total;        /* how many there are to be asked; 0 = nobody decides but we */
    unsigned heard;        /* how many have answered lately */
    const unsigned *words; /* one for each server: how many name it as the primary */
    /* The same: how many are making it the primary at the moment, and still name another one. NULL:
     * nobody tells. */
    const unsigned *promoting;
    const char *name; /* "the Sentinels", "Patroni": for the reason */
};

struct election_input {
    const struct server_config *servers; /* names and addresses */
    struct observation *seen; /* one for each server; the census rewrites them in place */
    size_t count;
    struct authority authority;
    unsigned chosen; /* 1 + the server that the operator elects now, if it claims; 0 = none */
    bool failback;   /* Galera: back to the first server as soon as it is synced */
    unsigned probe_fall;
    uint64_t now_ms;
    uint64_t
        start_timeout_ms; /* how long an accepting but silent server delays the first election */
    uint64_t conflict_timeout_ms;
    enum conflict on_conflict;
    /* Observation stamp when the last worker acknowledged that a contested primary gets no more
     * writes; UINT64_MAX while it may get some. An offset read earlier does not show the last write
     * that was acknowledged. 0 = nobody keeps account of it, any reading will do. */
    uint64_t paused;
};

enum verdict_kind {
    VERDICT_NOBODY,    /* no primary: writes wait; whoever was primary is fenced */
    VERDICT_HOLD,      /* `primary` stays, its living sessions go on, new ones wait (it is silent,
                        * loading, or was not reached) */
    VERDICT_CONTESTED, /* `primary` stays for now; its living sessions are paused and new ones wait
                        * until it is decided */
    VERDICT_PRIMARY,   /* `primary` takes writes */
};

struct verdict {
    enum verdict_kind kind;
    int primary;  /* index, or ELECTION_NOBODY */
    bool stale;   /* the primary cannot be asked at the moment; it keeps its last role */
    bool settled; /* nothing is in doubt: probes may go back to the normal interval */
    char reason[ELECTION_REASON_MAX];
};

/* Decides, and brings the memory up to date. */
void election_run(const struct election_input *in, struct election_memory *memory,
                  struct verdict *out);

#endif
