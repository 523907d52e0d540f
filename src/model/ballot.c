/* Each function is one question. They run over all servers, so that none depends on their order. */
#include "model/ballot.h"

#include <string.h>

static const struct observation *seen(const struct ballot *b, size_t i)
{
    return &b->in->seen[i];
}

static bool is_incumbent(const struct ballot *b, size_t i)
{
    return b->memory->incumbent == (int)i;
}

static bool is_kin(const struct election_memory *memory, const struct observation *o)
{
    const char *elected = memory->elected_group;
    return elected[0] == '\0' || o->group[0] == '\0' || strcmp(o->group, elected) == 0;
}

static enum standing standing_of_answer(const struct election_memory *memory,
                                        const struct observation *o)
{
    if (o->claim == CLAIM_REPLICA) {
        return STANDING_STEPPED_DOWN;
    }
    if (o->claim != CLAIM_PRIMARY || !o->usable) {
        return STANDING_UNREADY;
    }
    if (memory->stepped_down || strcmp(o->identity, memory->elected_identity) != 0 ||
        !is_kin(memory, o)) {
        return STANDING_RETURNED;
    }
    return STANDING_HOLDS;
}

static enum standing standing_of(const struct election_input *in,
                                 const struct election_memory *memory)
{
    if (memory->incumbent == ELECTION_NOBODY) {
        return STANDING_NONE;
    }
    const struct observation *o = &in->seen[memory->incumbent];
    if (o->reach == REACH_ANSWERED) {
        return standing_of_answer(memory, o);
    }
    /* "I am a replica now" is not taken back by silence. */
    if (memory->stepped_down) {
        return STANDING_STEPPED_DOWN;
    }
    return o->reach == REACH_DENIED ? STANDING_DENIED : STANDING_SILENT;
}

struct ballot ballot_open(const struct election_input *in, const struct election_memory *memory)
{
    return (struct ballot){.in = in, .memory = memory, .standing = standing_of(in, memory)};
}

bool ballot_says_primary(const struct ballot *b, size_t i)
{
    const struct observation *o = seen(b, i);
    return o->reach == REACH_ANSWERED && o->claim == CLAIM_PRIMARY && o->usable;
}

bool ballot_claims(const struct ballot *b, size_t i)
{
    return ballot_says_primary(b, i) && !seen(b, i)->barred;
}

bool ballot_is_kin(const struct ballot *b, size_t i)
{
    return is_kin(b->memory, seen(b, i));
}

bool ballot_is_extinct(const struct ballot *b)
{
    for (size_t i = 0; i < b->in->count; i++) {
        const struct observation *o = seen(b, i);
        if (o->reach != REACH_ANSWERED || o->claim == CLAIM_NONE || ballot_is_kin(b, i)) {
            return false;
        }
    }
    return true;
}

bool ballot_promoted(const struct ballot *b, size_t i, struct lineage_path *path)
{
    if (!ballot_claims(b, i) || !ballot_is_kin(b, i) ||
        (is_incumbent(b, i) && b->standing == STANDING_HOLDS)) {
        return false;
    }
    return lineage_trace(&b->memory->histories, seen(b, i)->lineage.id, b->memory->elected.id,
                         path);
}

bool ballot_contends(const struct ballot *b, size_t i)
{
    struct lineage_path path;
    return ballot_promoted(b, i, &path) && !path.lost;
}

bool ballot_disputes(const struct ballot *b, size_t i)
{
    const struct server_memory *memory = &b->memory->servers[i];
    const char *id = seen(b, i)->lineage.id;
    if (b->memory->incumbent == ELECTION_NOBODY || is_incumbent(b, i) || !ballot_claims(b, i) ||
        !ballot_is_kin(b, i)) {
        return false;
    }
    const char *incumbent = seen(b, (size_t)b->memory->incumbent)->lineage.id;
    return strcmp(seen(b, i)->identity, memory->unlinked_identity) == 0 &&
           strcmp(id, memory->lost_id) != 0 &&
           !lineage_trace(&b->memory->histories, id, incumbent, NULL);
}

/* Of a server that is kin. A timeline is only begun by a promotion. How far it goes by now says
 * nothing: that may be the server's own writes. */
static bool began_timeline_with_all(const struct election_memory *memory,
                                    const struct server_memory *server, const struct observation *o)
{
    int64_t least = memory->elected.offset;
    bool known =
        memory->elected_term > 0 && memory->elected_group[0] != '\0' && o->group[0] != '\0';
    return known && o->term > memory->elected_term && o->position >= least &&
           server->replica_term <= memory->elected_term && server->replica_position >= least;
}

/* The empty set is that of servers which number nothing. */
static bool has_all_transactions(const struct election_memory *memory, const struct observation *o)
{
    return gtid_count(&memory->elected_gtids) > 0 &&
           gtid_contains(&o->gtids, &memory->elected_gtids);
}

bool ballot_inherits(const struct ballot *b, size_t i)
{
    const struct election_memory *memory = b->memory;
    const struct server_memory *server = &memory->servers[i];
    const struct observation *o = seen(b, i);
    bool candidate = ballot_claims(b, i) && ballot_is_kin(b, i) && o->part == PART_SOURCE;
    return candidate && !server->defeated &&
           strcmp(server->census.inherited, memory->elected.id) == 0 &&
           (began_timeline_with_all(memory, server, o) || has_all_transactions(memory, o));
}

bool ballot_follows(const struct ballot *b, size_t i)
{
    const struct observation *o = seen(b, i);
    return o->reach == REACH_ANSWERED && o->claim == CLAIM_REPLICA && o->link_up &&
           ballot_is_kin(b, i);
}

size_t ballot_votes(const struct ballot *b, const char *id)
{
    size_t votes = 0;
    for (size_t i = 0; i < b->in->count; i++) {
        votes += ballot_follows(b, i) && strcmp(seen(b, i)->lineage.id, id) == 0;
    }
    return votes;
}

/* Server `j` follows a history other than that of `i`. */
static bool is_rival_vote(const struct ballot *b, size_t i, size_t j)
{
    return ballot_follows(b, j) && strcmp(seen(b, j)->lineage.id, seen(b, i)->lineage.id) != 0;
}

/* Somebody may be writing history `id`: it is claimed, or was elected and cannot be asked. */
static bool may_live(const struct ballot *b, const char *id)
{
    if (b->standing == STANDING_DENIED && strcmp(id, b->memory->elected.id) == 0) {
        return true;
    }
    for (size_t i = 0; i < b->in->count; i++) {
        if (ballot_says_primary(b, i) && strcmp(seen(b, i)->lineage.id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* `i` was branched off what follower `j` follows, and nobody claims that any more: the follower
 * only hangs on a dead connection, for up to its repl-timeout, and says nothing against `i`. */
static bool hangs_on_ancestor(const struct ballot *b, size_t i, size_t j)
{
    const char *id = seen(b, j)->lineage.id;
    return !may_live(b, id) &&
           lineage_trace(&b->memory->histories, seen(b, i)->lineage.id, id, NULL);
}

bool ballot_unopposed(const struct ballot *b, size_t i)
{
    size_t votes = ballot_votes(b, seen(b, i)->lineage.id);
    for (size_t j = 0; j < b->in->count; j++) {
        if (is_rival_vote(b, i, j) && !hangs_on_ancestor(b, i, j) &&
            ballot_votes(b, seen(b, j)->lineage.id) >= votes) {
            return false;
        }
    }
    return true;
}

bool ballot_leads(const struct ballot *b, size_t i)
{
    return ballot_votes(b, seen(b, i)->lineage.id) > 0 && ballot_unopposed(b, i);
}

static int first_by_name(const struct ballot *b, int one, size_t other)
{
    const struct server_config *servers = b->in->servers;
    if (one == ELECTION_NOBODY || strcmp(servers[other].name, servers[one].name) < 0) {
        return (int)other;
    }
    return one;
}

int ballot_contradiction(const struct ballot *b, size_t i)
{
    int found = ELECTION_NOBODY;
    size_t votes = ballot_votes(b, seen(b, i)->lineage.id);
    for (size_t j = 0; j < b->in->count; j++) {
        const char *id = seen(b, j)->lineage.id;
        if (is_rival_vote(b, i, j) && !hangs_on_ancestor(b, i, j) && !may_live(b, id) &&
            ballot_votes(b, id) >= votes) {
            found = first_by_name(b, found, j);
        }
    }
    return found;
}

bool ballot_strays(const struct ballot *b, size_t i)
{
    const char *id = seen(b, i)->lineage.id;
    const char *elected = b->memory->elected.id;
    return ballot_follows(b, i) && strcmp(id, elected) != 0 &&
           !lineage_trace(&b->memory->histories, elected, id, NULL);
}

static bool is_read_since(const struct ballot *b, size_t i, size_t other)
{
    return seen(b, other)->asked > b->memory->servers[i].claimed_since;
}

bool ballot_comparable(const struct ballot *b, size_t i, size_t other)
{
    return is_read_since(b, i, other) &&
           (!is_incumbent(b, other) || seen(b, other)->asked > b->in->paused);
}

bool ballot_covers(const struct ballot *b, size_t i, size_t other)
{
    return is_read_since(b, i, other) && gtid_contains(&seen(b, i)->gtids, &seen(b, other)->gtids);
}

/* Offsets of one history can be compared: Redis', and positions in PostgreSQL's log. A number of
 * transactions says how many, not which. */
static bool tells_offset(const struct observation *o)
{
    return o->part == PART_LINEAGE || (o->part == PART_SOURCE && o->position > 0);
}

bool ballot_supersedes(const struct ballot *b, size_t i, size_t other)
{
    const struct observation *one = seen(b, i);
    const struct observation *two = seen(b, other);
    if (!ballot_comparable(b, i, other)) {
        return false;
    }
    if (one->gtids.known && two->gtids.known) {
        /* Equal sets decide nothing: neither has anything that the other lacks. And what was
         * branched off `i` is a later decision than `i`. */
        return gtid_contains(&one->gtids, &two->gtids) &&
               gtid_missing(&one->gtids, &two->gtids) > 0 &&
               !lineage_trace(&b->memory->histories, two->lineage.id, one->lineage.id, NULL);
    }
    return tells_offset(one) && tells_offset(two) &&
           lineage_supersedes(&b->memory->histories, &one->lineage, &two->lineage);
}

bool ballot_settled(const struct ballot *b, size_t i)
{
    const struct observation *o = seen(b, i);
    if (o->reach == REACH_ANSWERED) {
        return o->claim != CLAIM_PRIMARY || o->usable;
    }
    return o->reach != REACH_UNASKED && o->failures >= b->in->probe_fall;
}

int ballot_rival(const struct ballot *b, size_t i)
{
    for (size_t other = 0; other < b->in->count; other++) {
        if (ballot_promoted(b, other, NULL) && ballot_leads(b, other) &&
            lineage_trace(&b->memory->histories, seen(b, other)->lineage.id, seen(b, i)->lineage.id,
                          NULL)) {
            return (int)other; /* only one can lead */
        }
    }
    return ELECTION_NOBODY;
}

/* A refused question is not waited for: that may last for ever. */
static bool is_heard_since(const struct ballot *b, size_t i, uint64_t stamp)
{
    const struct observation *o = seen(b, i);
    if (o->reach == REACH_ANSWERED) {
        return o->asked > stamp;
    }
    return o->reach == REACH_DENIED || ballot_settled(b, i);
}

bool ballot_all_heard(const struct ballot *b, size_t i)
{
    uint64_t since = b->memory->servers[i].claimed_since;
    for (size_t other = 0; other < b->in->count; other++) {
        if (other != i && !is_incumbent(b, other) && !is_heard_since(b, other, since)) {
            return false;
        }
    }
    return true;
}

int ballot_next(const struct ballot *b, int previous,
                bool (*pick)(const struct ballot *b, size_t i))
{
    const struct server_config *servers = b->in->servers;
    int found = ELECTION_NOBODY;
    for (size_t i = 0; i < b->in->count; i++) {
        bool behind =
            previous == ELECTION_NOBODY || strcmp(servers[i].name, servers[previous].name) > 0;
        if (behind && pick(b, i)) {
            found = first_by_name(b, found, i);
        }
    }
    return found;
}
