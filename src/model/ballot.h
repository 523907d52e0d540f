/* What the observations amount to, before anything is decided: who claims, whose claim is a
 * promotion, whom the followers follow, who was not heard. Questions only; nothing is changed. */
#ifndef ROUTER_MODEL_BALLOT_H
#define ROUTER_MODEL_BALLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/election.h"

/* How the incumbent stands. */
enum standing {
    STANDING_NONE,         /* nobody was ever elected */
    STANDING_HOLDS,        /* the process that was elected goes on claiming */
    STANDING_RETURNED,     /* its server claims, but was restarted, was a replica in between, or has
                            * other data by now */
    STANDING_UNREADY,      /* it answers, but can take no writes at the moment */
    STANDING_SILENT,       /* it does not answer, or was not asked yet */
    STANDING_DENIED,       /* it answers, but will not tell */
    STANDING_STEPPED_DOWN, /* it says that it is a replica, or that was its last word */
};

struct ballot {
    const struct election_input *in;
    const struct election_memory *memory;
    enum standing standing;
};

struct ballot ballot_open(const struct election_input *in, const struct election_memory *memory);

/* Server `i` says that it is the primary and could take writes. */
bool ballot_says_primary(const struct ballot *b, size_t i);

/* The same, and the operator has not taken it out. */
bool ballot_claims(const struct ballot *b, size_t i);

/* Nothing says that server `i` has other data than the elected one: PostgreSQL's system identifier,
 * the name of a group. */
bool ballot_is_kin(const struct ballot *b, size_t i);

/* Every server tells its role, and none of them has the elected data any more: all was made anew.
 */
bool ballot_is_extinct(const struct ballot *b);

/* Server `i` claims, and was promoted from the elected history: its own leads there. (Only of a
 * process that was seen to replicate is that remembered.) The incumbent is none as long as it
 * holds. `path` (may be NULL) says how its history leads there. */
bool ballot_promoted(const struct ballot *b, size_t i, struct lineage_path *path);

/* The same, and that history has not lost an election. */
bool ballot_contends(const struct ballot *b, size_t i);

/* Server `i` claims and may have been promoted, but its link was never seen up; its claim has lost
 * no election, and it was not promoted from what the incumbent has now. */
bool ballot_disputes(const struct ballot *b, size_t i);

/* Server `i` claims, and nobody saw how it was promoted. But what it followed last is the elected
 * history, it lost no election since, and its data shows that nothing is lost: it has every
 * transaction that the elected server was seen to have; or began a timeline, as only a promotion
 * does, when it had all of the log that the elected server was seen to have. Not of Redis, where a
 * restart may have lost keys. */
bool ballot_inherits(const struct ballot *b, size_t i);

/* Server `i` is a replica whose link is up: its history is that of its primary. */
bool ballot_follows(const struct ballot *b, size_t i);

/* How many replicas follow history `id`. They name the history and not the address: that is proof
 * against NAT, and counts the followers of followers. */
size_t ballot_votes(const struct ballot *b, const char *id);

/* No other history is followed by as many replicas as claimant `i`, or by more. */
bool ballot_unopposed(const struct ballot *b, size_t i);

/* More replicas follow claimant `i` than any other history. */
bool ballot_leads(const struct ballot *b, size_t i);

/* A replica that follows a primary which is not among the claimants, and speaks so for a server
 * that cannot be heard, unless more of them follow claimant `i`. ELECTION_NOBODY if there is none.
 * Of several, the first by name. */
int ballot_contradiction(const struct ballot *b, size_t i);

/* Server `i` follows neither the elected history nor one that it was branched off. */
bool ballot_strays(const struct ballot *b, size_t i);

/* Everything that claimant `other` has acknowledged is also on claimant `i`, and more, as far as it
 * was read after `i` was first seen to claim. By the sets of transactions where both have one; else
 * by the promotions remembered, where offsets tell how far each was. Of servers that tell neither,
 * nothing is known. */
bool ballot_supersedes(const struct ballot *b, size_t i, size_t other);

/* The set of transactions of claimant `i` has all that server `other` had when it was read after
 * `i` was first seen to claim. */
bool ballot_covers(const struct ballot *b, size_t i, size_t other);

/* A promotion branched off claimant `i` that the followers are with, although it lost before.
 * ELECTION_NOBODY if there is none. */
int ballot_rival(const struct ballot *b, size_t i);

/* Claimant `other` was read late enough for that to be judged. */
bool ballot_comparable(const struct ballot *b, size_t i, size_t other);

/* All servers but the incumbent have answered, or failed often enough, since the present claim of
 * server `i` was first seen: no other claim of that time is still unknown. */
bool ballot_all_heard(const struct ballot *b, size_t i);

/* Server `i` has told its role, or has failed often enough to be given up for now. */
bool ballot_settled(const struct ballot *b, size_t i);

/* The next server after `previous` by name for which `pick` holds; ELECTION_NOBODY to begin with,
 * and at the end. Names order what the order of the servers must not. */
int ballot_next(const struct ballot *b, int previous,
                bool (*pick)(const struct ballot *b, size_t i));

#endif
