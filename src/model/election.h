/* Who may be written to: a pure function from observations, incumbent and remembered history to at
 * most one primary, with the reason in words. No I/O, no clock of its own, no allocation; the same
 * verdict for any order of the servers.
 *
 * The rules stand in src/README.md ("Who is the primary") and beside each step in election.c. */
#ifndef ROUTER_MODEL_ELECTION_H
#define ROUTER_MODEL_ELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/config.h"
#include "model/observation.h"

#define ELECTION_EDGES 64
#define ELECTION_REASON_MAX 240
#define ELECTION_NOBODY (-1)

/* History `child` was branched off `parent` by a promotion, at offset `end` (the first one they do
 * not share). Observed, and kept because a full resync erases it on the servers. */
struct lineage_edge {
    char child[REPLID_MAX];
    char parent[REPLID_MAX];
    int64_t end;
};

/* What is remembered of one server between elections. */
struct server_memory {
    char replica_identity[REPLID_MAX]; /* the process that was last seen to replicate */
    char lost_identity[REPLID_MAX];    /* the process and history whose claim lost an election */
    char lost_id[REPLID_MAX];
    bool proven;                       /* was asked successfully at least once */
};

/* What an election remembers. Start from a zeroed struct with incumbent = ELECTION_NOBODY and
 * `servers` pointing to one zeroed server_memory for each server. Survives as plain data. */
struct election_memory {
    int incumbent;                /* index of the last elected server */
    char elected_identity[REPLID_MAX];
    struct lineage elected;       /* its history, as last seen */
    uint64_t incumbent_gap;       /* `answered` stamp of its last silence; 0 = none */
    uint64_t contested_since_ms;  /* 0 = not contested */
    uint64_t started_ms;          /* when the first election ran; 0 = never */
    struct lineage_edge edges[ELECTION_EDGES];
    size_t edge_count;            /* total ever added; the newest ELECTION_EDGES are kept */
    struct server_memory *servers; /* borrowed */
};

struct election_input {
    const struct server_config *servers; /* names, for the reason */
    const struct observation *seen;      /* one for each server */
    size_t count;
    unsigned probe_fall;
    uint64_t now_ms;
    uint64_t start_timeout_ms;    /* how long an accepting but silent server delays the first election */
    uint64_t conflict_timeout_ms;
    enum conflict on_conflict;
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
