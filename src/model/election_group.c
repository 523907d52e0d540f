/* Servers that agree among themselves.
 *
 * A MySQL group (Group Replication) has one primary. Whoever says that it is that one, and is in a
 * majority, speaks for the group, whoever was elected here before; what it says only may be out of
 * date. The number of the view tells two claims apart: a primary of an older view is one that the
 * group has left behind and that has not noticed yet. Within one view the later word counts, so
 * both are asked again.
 *
 * In a Galera cluster every synced member takes writes and has those of all others, so that no
 * choice loses any. But two writers at once run into each other's locks; so there is one, and it
 * is kept while it can write. The order of the servers in the configuration is the same on every
 * router; a `backup` server comes last.
 *
 * Members of another group or cluster have none of the elected one's data, whatever they say: a
 * node that was bootstrapped by mistake is empty, synced and Primary. They are not chosen while
 * anybody is left of the elected one, or may be: a server that is not heard may hold all of it.
 * Once every server has answered from somewhere else, the elected one is gone for good. */
#include "model/election_round.h"

#include <string.h>

static const struct observation *seen(const struct ballot *b, size_t i)
{
    return &b->in->seen[i];
}

static bool is_of_elected(const struct ballot *b, size_t i)
{
    return ballot_is_kin(b, i) || ballot_is_extinct(b);
}

/* The incumbent takes no writes, and nobody else is known to. */
static void wait(struct round *r)
{
    if (r->ballot.standing == STANDING_STEPPED_DOWN) {
        round_nobody(r);
    } else if (r->ballot.standing == STANDING_DENIED) {
        round_stale(r);
    } else {
        round_hold(r);
    }
}

/* ---- Group Replication ---- */

static bool says_group_primary(const struct ballot *b, size_t i)
{
    return ballot_says_primary(b, i) && seen(b, i)->part == PART_GROUP && is_of_elected(b, i);
}

static bool is_group_primary(const struct ballot *b, size_t i)
{
    return says_group_primary(b, i) && ballot_claims(b, i);
}

/* `i` claims in a later view of the same group than `other`, who was asked again since. */
static bool is_after(const struct ballot *b, size_t i, size_t other)
{
    const struct observation *one = seen(b, i);
    const struct observation *two = seen(b, other);
    return strcmp(one->group, two->group) == 0 && one->term > two->term && two->term > 0 &&
           two->asked > b->memory->servers[i].claimed_since;
}

/* Whoever the operator has taken out may be the one that the group has elected all the same. */
static bool is_latest(const struct ballot *b, size_t i)
{
    for (size_t other = 0; other < b->in->count; other++) {
        if (other != i && says_group_primary(b, other) && !is_after(b, i, other)) {
            return false;
        }
    }
    return is_group_primary(b, i);
}

static bool has_lost(const struct ballot *b, size_t i)
{
    const struct server_memory *server = &b->memory->servers[i];
    return server->lost_since > 0 && server->lost_since == server->claimed_since;
}

/* Claims beside the incumbent that are not decided about. */
static bool is_group_rival(const struct ballot *b, size_t i)
{
    return b->memory->incumbent != (int)i && is_group_primary(b, i) && !has_lost(b, i);
}

void election_of_group(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int incumbent = r->memory->incumbent;
    int i = ballot_next(b, ELECTION_NOBODY, is_latest);
    if (incumbent == ELECTION_NOBODY) {
        int awaited = ballot_next(b, ELECTION_NOBODY, round_awaits);
        if (i != ELECTION_NOBODY && awaited == ELECTION_NOBODY) {
            round_elect(r, i, MERIT_GROUP);
        } else {
            round_open(r, awaited);
        }
    } else if (i != ELECTION_NOBODY && (i != incumbent || b->standing != STANDING_HOLDS)) {
        round_elect(r, i, MERIT_GROUP);
    } else if (i != ELECTION_NOBODY) {
        round_seat(r, i);
    } else if (!is_group_primary(b, (size_t)incumbent)) {
        wait(r);
    } else if (ballot_next(b, ELECTION_NOBODY, is_group_rival) != ELECTION_NOBODY) {
        round_contest(r);
    } else {
        round_seat(r, incumbent);
    }
}

/* ---- Galera ---- */

static bool is_synced(const struct ballot *b, size_t i)
{
    return ballot_says_primary(b, i) && seen(b, i)->part == PART_GALERA && is_of_elected(b, i);
}

static bool is_writer(const struct ballot *b, size_t i)
{
    return is_synced(b, i) && ballot_claims(b, i);
}

static bool is_listed_before(const struct ballot *b, size_t i, size_t other)
{
    const struct server_config *one = &b->in->servers[i];
    const struct server_config *two = &b->in->servers[other];
    return one->backup == two->backup ? one->rank < two->rank : two->backup;
}

/* How many that could write are in the cluster of server `i`. */
static size_t company(const struct ballot *b, size_t i)
{
    size_t count = 0;
    for (size_t other = 0; other < b->in->count; other++) {
        count += is_synced(b, other) && strcmp(seen(b, other)->group, seen(b, i)->group) == 0;
    }
    return count;
}

/* Two clusters at the first election: the one that more servers are in. */
static bool is_outnumbered(const struct ballot *b, size_t i)
{
    for (size_t other = 0; other < b->in->count; other++) {
        if (is_synced(b, other) && strcmp(seen(b, other)->group, seen(b, i)->group) != 0 &&
            company(b, other) >= company(b, i)) {
            return true;
        }
    }
    return false;
}

/* The first listed server that could be the writer; ELECTION_NOBODY if there is none. */
static int first_listed(const struct ballot *b)
{
    int first = ELECTION_NOBODY;
    for (size_t i = 0; i < b->in->count; i++) {
        if (is_writer(b, i) && !is_outnumbered(b, i) &&
            (first == ELECTION_NOBODY || is_listed_before(b, i, (size_t)first))) {
            first = (int)i;
        }
    }
    return first;
}

/* The writer cannot write, by its own word or because it has failed often enough. */
static bool is_given_up(const struct ballot *b, size_t i)
{
    const struct observation *o = seen(b, i);
    return o->reach == REACH_ANSWERED || b->standing == STANDING_STEPPED_DOWN ||
           (o->reach != REACH_DENIED && o->failures >= b->in->probe_fall);
}

void election_of_galera(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int incumbent = r->memory->incumbent;
    int first = first_listed(b);
    if (incumbent == ELECTION_NOBODY) {
        int awaited = ballot_next(b, ELECTION_NOBODY, round_awaits);
        if (first != ELECTION_NOBODY && awaited == ELECTION_NOBODY) {
            round_elect(r, first, MERIT_WRITER);
        } else {
            round_open(r, awaited);
        }
        return;
    }
    bool back = b->in->failback && first != ELECTION_NOBODY && first != incumbent &&
                is_listed_before(b, (size_t)first, (size_t)incumbent);
    if (back) {
        round_elect(r, first, MERIT_FAILBACK);
    } else if (is_writer(b, (size_t)incumbent)) {
        round_seat(r, incumbent);
    } else if (first != ELECTION_NOBODY && is_given_up(b, (size_t)incumbent)) {
        round_elect(r, first, MERIT_WRITER);
    } else {
        wait(r);
    }
}
