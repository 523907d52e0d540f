/* Whoever decides calls one of these, once, as its last step. */
#include "model/election_round.h"

#include <string.h>

static void conclude(struct round *r, enum verdict_kind kind)
{
    r->out->kind = kind;
    r->out->primary = kind == VERDICT_NOBODY ? ELECTION_NOBODY : r->memory->incumbent;
}

/* Whoever claims beside the winner has lost. It does not win later by the winner's silence, and
 * neither does what is branched off its history. */
static void lose_others(struct round *r)
{
    const struct election_input *in = r->ballot.in;
    for (size_t i = 0; i < in->count; i++) {
        struct server_memory *server = &r->memory->servers[i];
        if (r->memory->incumbent != (int)i && ballot_says_primary(&r->ballot, i)) {
            lineage_lose(&r->memory->histories, in->seen[i].lineage.id);
            memcpy(server->lost_id, in->seen[i].lineage.id, REPLID_MAX);
            server->lost_since = server->claimed_since;
            server->defeated = true;
        }
    }
}

void round_remember_data(struct election_memory *memory, const struct observation *o)
{
    memory->elected = o->lineage;
    memory->elected_term = o->term;
    memory->elected_gtids = o->gtids;
}

/* From now on, `i` in its present process and history is the elected one. */
static void adopt(struct election_memory *memory, int i, const struct observation *o)
{
    memory->incumbent = i;
    round_remember_data(memory, o);
    memory->elected_part = o->part;
    memcpy(memory->elected_group, o->group, sizeof(memory->elected_group));
    memcpy(memory->elected_identity, o->identity, sizeof(memory->elected_identity));
    memory->stepped_down = false;
}

void round_seat(struct round *r, int i)
{
    if (r->ballot.in->seen[i].barred) {
        round_hold(r);
        return;
    }
    adopt(r->memory, i, &r->ballot.in->seen[i]);
    lose_others(r);
    conclude(r, VERDICT_PRIMARY);
    words_primary(&r->ballot, r->out);
}

void round_elect(struct round *r, int i, enum words_merit merit)
{
    words_elected(&r->ballot, i, merit, r->memory->elected_why);
    round_seat(r, i);
}

void round_readmit(struct round *r)
{
    int i = r->memory->incumbent;
    words_elected(&r->ballot, i, MERIT_RETURN, r->memory->elected_why);
    adopt(r->memory, i, &r->ballot.in->seen[i]);
    r->ballot = ballot_open(r->ballot.in, r->memory);
}

/* All followers have left for another history: that contradicts who cannot be asked. */
static bool is_deserted(const struct ballot *b)
{
    return ballot_votes(b, b->memory->elected.id) == 0 &&
           ballot_next(b, ELECTION_NOBODY, ballot_strays) != ELECTION_NOBODY;
}

void round_stale(struct round *r)
{
    if (is_deserted(&r->ballot) || r->ballot.in->seen[r->memory->incumbent].barred) {
        round_hold(r);
        return;
    }
    lose_others(r);
    conclude(r, VERDICT_PRIMARY);
    r->out->stale = true;
    words_stale(&r->ballot, r->out);
}

void round_hold(struct round *r)
{
    conclude(r, VERDICT_HOLD);
    words_hold(&r->ballot, r->out);
}

void round_nobody(struct round *r)
{
    conclude(r, VERDICT_NOBODY);
    words_nobody(&r->ballot, r->out);
}

void round_open(struct round *r, int awaited)
{
    conclude(r, VERDICT_NOBODY);
    words_first(&r->ballot, awaited, r->out);
}

/* ---- contests ---- */

/* The contest has lasted long enough, and the configuration says to keep the incumbent. One that
 * does not answer cannot be kept: nothing is known of it. */
static void keep(struct round *r)
{
    r->contested = false;
    if (r->ballot.standing == STANDING_DENIED) {
        lose_others(r);
        round_stale(r);
    } else {
        round_elect(r, r->memory->incumbent, MERIT_KEPT);
    }
}

/* Not if its data was made anew: the others have what it had. Nor if the operator has taken it out.
 */
static bool can_be_kept(const struct ballot *b)
{
    bool stands = b->standing == STANDING_HOLDS || b->standing == STANDING_RETURNED ||
                  b->standing == STANDING_DENIED;
    size_t i = (size_t)b->memory->incumbent;
    return stands && ballot_is_kin(b, i) && !b->in->seen[i].barred;
}

/* A claim that may lack writes of the incumbent, or of another claim: writes wait until more is
 * known. */
void round_contest(struct round *r)
{
    const struct election_input *in = r->ballot.in;
    if (r->memory->contested_since_ms == 0) {
        r->memory->contested_since_ms = in->now_ms > 0 ? in->now_ms : 1;
    }
    r->contested = true;
    bool over = in->now_ms >= r->memory->contested_since_ms + in->conflict_timeout_ms;
    if (over && in->on_conflict == CONFLICT_KEEP && can_be_kept(&r->ballot)) {
        keep(r);
        return;
    }
    bool refused = over && in->on_conflict == CONFLICT_REFUSE;
    conclude(r, refused ? VERDICT_NOBODY : VERDICT_CONTESTED);
    words_contest(&r->ballot, refused, r->out);
}

/* ---- questions ---- */

/* The operator has taken the incumbent out, and whoever is to succeed it may lack its last writes:
 * that is worth waiting for, as with every promotion. Then the operator's word counts. */
static bool is_out_for_good(const struct ballot *b)
{
    const struct election_input *in = b->in;
    uint64_t since = b->memory->contested_since_ms;
    return in->seen[b->memory->incumbent].barred && in->on_conflict == CONFLICT_KEEP && since > 0 &&
           in->now_ms >= since + in->conflict_timeout_ms;
}

/* All of `set` but `i`, and the incumbent while it holds, have nothing that `i` has not. */
static bool supersedes_all(const struct ballot *b, size_t i, ballot_pick set)
{
    if (b->standing == STANDING_HOLDS && !is_out_for_good(b) &&
        !ballot_supersedes(b, i, (size_t)b->memory->incumbent)) {
        return false;
    }
    for (size_t other = 0; other < b->in->count; other++) {
        if (other != i && set(b, other) && !ballot_supersedes(b, i, other)) {
            return false;
        }
    }
    return true;
}

int round_by_history(const struct ballot *b, ballot_pick set)
{
    int i = ballot_next(b, ELECTION_NOBODY, set);
    while (i != ELECTION_NOBODY && !supersedes_all(b, (size_t)i, set)) {
        i = ballot_next(b, i, set);
    }
    return i;
}

bool round_is_only(const struct ballot *b, int i, ballot_pick set)
{
    return ballot_next(b, ELECTION_NOBODY, set) == i && ballot_next(b, i, set) == ELECTION_NOBODY;
}

/* A server that accepts connections and is silent may be a primary that is stopped for a moment,
 * and one that is loading is one that comes back. A refused question is not waited for: that may
 * last for ever. */
bool round_awaits(const struct ballot *b, size_t i)
{
    const struct observation *o = &b->in->seen[i];
    switch (o->reach) {
    case REACH_SILENT:
        return o->failures < b->in->probe_fall ||
               b->in->now_ms < b->memory->started_ms + b->in->start_timeout_ms;
    case REACH_DENIED:
        return false;
    default:
        return !ballot_settled(b, i);
    }
}
