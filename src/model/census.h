/* Brings the observations of a backend's servers into one language before an election: what Redis
 * says of itself is worked out here for servers that only tell whom they follow (PART_SOURCE).
 *
 *  - A server claims (CLAIM_PRIMARY) if it is writable and has no channel, running or stopped, from
 *    a member of this backend. A source that cannot be told to be an outsider counts as a member.
 *    Otherwise it is a replica, of whom and with what link the channels say.
 *  - A history has a name: that of the server that writes it, and of the moment when it began to.
 *    A server begins a new one when it claims in a new process, or after it has followed another;
 *    then the history that it followed last is the previous one, up to where it was seen to be.
 *    A server that only was read-only in between goes on with its own.
 *  - A replica's history is that of the member at the head of its chain of sources, as it was when
 *    the replica was asked.
 *
 * The members of a group or of a Galera cluster (PART_GROUP, PART_GALERA) all have one history, and
 * its name is the group's. Nothing here decides who is the primary. */
#ifndef ROUTER_MODEL_CENSUS_H
#define ROUTER_MODEL_CENSUS_H

#include "model/election.h"

/* Rewrites claim, usable, link_up, follows and lineage of each PART_SOURCE observation in
 * `in->seen`, lineage of the members of groups, and `why` where there is something to be said about
 * these; remembers names in `memory`. Running it again on fresh copies of the same observations, or
 * on its own results, changes nothing. */
void census_take(const struct election_input *in, struct election_memory *memory);

/* The member whose `id` or address a channel names. ELECTION_NOBODY: an outsider, for its id is
 * none of the members', who are all known by theirs. CENSUS_UNKNOWN: it cannot be told; it may be a
 * member's name, or another address of one. */
#define CENSUS_UNKNOWN (-2)
int census_member(const struct election_input *in, const struct election_memory *memory,
                  const struct channel *channel);

#endif
