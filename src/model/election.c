/* How an election runs: the census says what the observations mean together, the memory is brought
 * up to date with them, then the rule for the incumbent's standing decides, then what is decided is
 * remembered.
 *
 *   nobody was elected yet    election_first()
 *   it stepped down           election_after_demotion()
 *   otherwise                 election_succession(): a promotion that succeeds it, or a contest, or
 *                             it stays
 *
 * Where an authority decides too, where a group elects its primary, or all may write (Galera),
 * others rule: election_authority.c, election_group.c.
 *
 * Two thoughts run through all rules. A claim is believed for the history that it continues, never
 * for being the only one: a server that was restarted, or lost an election, has the same
 * role:master as the true primary. And silence decides nothing: it holds writes, but neither takes
 * the incumbent's role away nor gives it to somebody who had no right to it before. */
#include "model/election.h"

#include <assert.h>
#include <string.h>

#include "model/census.h"
#include "model/election_round.h"

/* ---- what is remembered of each observation ---- */

static void remember_claim(struct election_memory *memory, struct server_memory *server,
                           const struct observation *o)
{
    if (strcmp(server->claimed_id, o->lineage.id) != 0) {
        memcpy(server->claimed_id, o->lineage.id, sizeof(server->claimed_id));
        server->claimed_since = o->answered;
    }
    /* A replica that is restarted without its replicaof presents a perfect previous history and
     * old data. Only the process that was seen to replicate is believed to be promoted from it. */
    if (strcmp(o->identity, server->replica_identity) == 0) {
        lineage_learn(&memory->histories, &o->lineage, o->answered);
    }
}

static void remember_replica(struct server_memory *server, const struct observation *o)
{
    memcpy(server->unlinked_identity, o->identity, sizeof(server->unlinked_identity));
    if (o->link_up) {
        memcpy(server->replica_identity, o->identity, sizeof(server->replica_identity));
        server->defeated = false;
    }
    if (o->channel_count > 0) { /* else it is read-only by its settings, and may have written */
        server->replica_position = o->position;
        server->replica_term = o->term > 0 ? o->term : server->replica_term;
    }
}

static void remember_server(struct round *r, size_t i)
{
    const struct observation *o = &r->ballot.in->seen[i];
    struct server_memory *server = &r->memory->servers[i];
    if (o->reach != REACH_ANSWERED) {
        return;
    }
    server->proven = true;
    if (ballot_says_primary(&r->ballot, i)) {
        remember_claim(r->memory, server, o);
        if (r->memory->incumbent == (int)i && r->ballot.standing == STANDING_HOLDS) {
            round_remember_data(r->memory, o);
        }
        return;
    }
    server->claimed_id[0] = '\0';
    if (o->claim == CLAIM_REPLICA) {
        remember_replica(server, o);
    }
    if (o->claim == CLAIM_REPLICA && r->memory->incumbent == (int)i) {
        r->memory->stepped_down = true;
    }
}

/* ---- who succeeds ---- */

/* Every other server was heard since `i` claims, and none speaks against it. */
static bool is_undisputed(const struct ballot *b, size_t i)
{
    return ballot_all_heard(b, i) && ballot_contradiction(b, i) == ELECTION_NOBODY &&
           ballot_rival(b, i) == ELECTION_NOBODY;
}

/* The promotion that succeeds the incumbent. Of several that happen together the first to be seen
 * is not the only one: the others are heard before. */
static int promoted(const struct ballot *b)
{
    int i = round_by_history(b, ballot_contends);
    return i != ELECTION_NOBODY && is_undisputed(b, (size_t)i) ? i : ELECTION_NOBODY;
}

/* Nothing is known of any history yet: a claim as good as any other, with the most followers. */
static bool claims_and_leads(const struct ballot *b, size_t i)
{
    return ballot_claims(b, i) && ballot_leads(b, i);
}

/* Followers that have moved are a decision that somebody took; those of the incumbent may only not
 * have moved yet. So they elect a promotion, even one that lost before, but do not end a contest.
 * Against an incumbent that is only silent, a loser stays a loser. */
static bool is_voted_in(const struct ballot *b, size_t i)
{
    bool silent = b->standing == STANDING_SILENT || b->standing == STANDING_UNREADY;
    bool eligible = silent ? ballot_contends(b, i) : ballot_promoted(b, i, NULL);
    eligible = eligible || (b->standing == STANDING_RETURNED && ballot_disputes(b, i));
    return eligible && ballot_leads(b, i);
}

static bool is_claimant(const struct ballot *b, size_t i)
{
    const struct observation *o = &b->in->seen[i];
    return o->reach == REACH_ANSWERED && o->claim == CLAIM_PRIMARY;
}

/* The incumbent is gone, and a server was promoted out of our sight: it was restarted in between.
 * Where all others agree and the data of both is known, no more is needed. One that claims but is
 * not usable yet, or followers that hang on the incumbent's line, do not agree. */
static int unseen(const struct ballot *b)
{
    if (b->standing != STANDING_SILENT || !ballot_settled(b, (size_t)b->memory->incumbent)) {
        return ELECTION_NOBODY;
    }
    int i = ballot_next(b, ELECTION_NOBODY, ballot_inherits);
    bool agreed = i != ELECTION_NOBODY && round_is_only(b, i, is_claimant) &&
                  ballot_all_heard(b, (size_t)i) && ballot_unopposed(b, (size_t)i);
    return agreed ? i : ELECTION_NOBODY;
}

/* ---- nobody was elected before ---- */

void election_first(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int i = round_by_history(b, ballot_claims);
    enum words_merit merit = round_is_only(b, i, ballot_claims) ? MERIT_ONLY_CLAIM : MERIT_HISTORY;
    if (i == ELECTION_NOBODY) {
        i = ballot_next(b, ELECTION_NOBODY, claims_and_leads);
        merit = MERIT_FOLLOWERS;
    }
    int awaited = ballot_next(b, ELECTION_NOBODY, round_awaits);
    if (i != ELECTION_NOBODY && awaited == ELECTION_NOBODY &&
        ballot_contradiction(b, (size_t)i) == ELECTION_NOBODY) {
        round_elect(r, i, merit);
        return;
    }
    round_open(r, awaited);
}

/* ---- the incumbent says that it is a replica ---- */

/* Where the elected server itself has taken over the data of another one, that one has it, however
 * it came by it. The word of other followers is enough for a promotion only: a server that
 * restarted with old data may have kept its own. */
static bool is_handed_over(const struct ballot *b, size_t i)
{
    size_t from = (size_t)b->memory->incumbent;
    bool by_itself = ballot_follows(b, from) &&
                     strcmp(b->in->seen[from].lineage.id, b->in->seen[i].lineage.id) == 0;
    return (by_itself || ballot_promoted(b, i, NULL)) && claims_and_leads(b, i) &&
           ballot_is_kin(b, i);
}

/* Nobody saw how it became one, but it has all transactions that the incumbent had when it took no
 * more: nothing is lost. */
static bool covers_incumbent(const struct ballot *b, size_t i)
{
    size_t from = (size_t)b->memory->incumbent;
    return b->in->seen[from].reach == REACH_ANSWERED && ballot_covers(b, i, from);
}

/* A demotion is a decision too: it overrules the elections that the server it was made for lost. */
static int only_claim(const struct ballot *b)
{
    int i = ballot_next(b, ELECTION_NOBODY, ballot_claims);
    if (i == ELECTION_NOBODY || !round_is_only(b, i, ballot_claims)) {
        return ELECTION_NOBODY;
    }
    bool heir = ballot_promoted(b, (size_t)i, NULL) || covers_incumbent(b, (size_t)i);
    return heir && is_undisputed(b, (size_t)i) ? i : ELECTION_NOBODY;
}

void election_after_demotion(struct round *r)
{
    const struct ballot *b = &r->ballot;
    enum words_merit merit = MERIT_PROMOTION;
    int i = promoted(b);
    if (i == ELECTION_NOBODY) {
        i = ballot_next(b, ELECTION_NOBODY, is_handed_over);
        merit = MERIT_FOLLOWERS;
    }
    if (i == ELECTION_NOBODY) {
        i = only_claim(b);
        merit = MERIT_DEMOTION;
    }
    if (i == ELECTION_NOBODY) {
        round_nobody(r);
    } else {
        round_elect(r, i, merit);
    }
}

/* ---- the incumbent has not stepped down ---- */

/* A restarted incumbent is accepted as it is: nobody can tell an empty server from one that has
 * read its whole append-only file. But all others are asked first: one of them may have been
 * promoted while it was away, and would count no more once the new history is the elected one. And
 * then it is asked who was promoted from that one. A claim that may be a promotion which nobody saw
 * is as good as that of a restarted server: then nothing decides but followers. And where it tells
 * by its system identifier that its data was made anew, nobody else may have the old one. */
static void accept_return(struct round *r)
{
    const struct ballot *b = &r->ballot;
    size_t i = (size_t)r->memory->incumbent;
    bool disputed = ballot_next(b, ELECTION_NOBODY, ballot_disputes) != ELECTION_NOBODY;
    bool same_data = ballot_is_kin(b, i) || ballot_is_extinct(b);
    if (disputed || !same_data || !ballot_all_heard(b, i)) {
        round_hold(r);
        return;
    }
    round_readmit(r);
    assert(r->ballot.standing == STANDING_HOLDS);
    election_decide(r);
}

void election_stay(struct round *r)
{
    switch (r->ballot.standing) {
    case STANDING_HOLDS:
        round_seat(r, r->memory->incumbent);
        break;
    case STANDING_RETURNED:
        accept_return(r);
        break;
    case STANDING_DENIED:
        round_stale(r);
        break;
    default:
        round_hold(r);
        break;
    }
}

void election_succession(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int i = ELECTION_NOBODY;
    enum words_merit merit = MERIT_PROMOTION;
    /* The offset of an incumbent that cannot be asked is unknown: only its followers can tell. */
    if (b->standing != STANDING_DENIED) {
        i = promoted(b);
    }
    if (i == ELECTION_NOBODY) {
        i = ballot_next(b, ELECTION_NOBODY, is_voted_in);
        merit = MERIT_FOLLOWERS;
    }
    if (i == ELECTION_NOBODY) {
        i = unseen(b);
        merit = MERIT_DATA;
    }
    if (i != ELECTION_NOBODY) {
        round_elect(r, i, merit);
    } else if (ballot_next(b, ELECTION_NOBODY, ballot_contends) != ELECTION_NOBODY) {
        round_contest(r);
    } else {
        election_stay(r);
    }
}

/* ---- */

/* By whose rules: those that the incumbent was elected by, as long as anybody tells that they are
 * still in force, or those that it has come under since; at first those of whoever tells the most.
 * What cannot be asked is remembered. */
static enum part rules_of(const struct round *r)
{
    const struct election_input *in = r->ballot.in;
    enum part elected = r->memory->elected_part;
    enum part most = PART_LINEAGE;
    bool in_force = false;
    for (size_t i = 0; i < in->count; i++) {
        enum part part = r->memory->servers[i].census.part;
        most = part > most ? part : most;
        in_force |= in->seen[i].reach == REACH_ANSWERED && part == elected;
    }
    if (r->memory->incumbent == ELECTION_NOBODY) {
        return most;
    }
    const struct observation *o = &in->seen[r->memory->incumbent];
    bool moved = o->reach == REACH_ANSWERED && (o->part > elected || !in_force);
    return moved ? o->part : elected;
}

/* The operator's word needs the server's claim and nothing else. */
static bool is_chosen(const struct round *r)
{
    unsigned chosen = r->ballot.in->chosen;
    return chosen > 0 && ballot_claims(&r->ballot, chosen - 1);
}

void election_decide(struct round *r)
{
    enum part rules = rules_of(r);
    if (is_chosen(r)) {
        election_outvote(r, (int)r->ballot.in->chosen - 1, MERIT_OPERATOR);
    } else if (rules == PART_GROUP) {
        election_of_group(r);
    } else if (rules == PART_GALERA) {
        election_of_galera(r);
    } else if (r->ballot.in->authority.total > 0) {
        election_by_authority(r);
    } else if (r->ballot.standing == STANDING_NONE) {
        election_first(r);
    } else if (r->ballot.standing == STANDING_STEPPED_DOWN) {
        election_after_demotion(r);
    } else {
        election_succession(r);
    }
}

static bool is_settled(const struct round *r)
{
    if (r->out->kind != VERDICT_PRIMARY) {
        return false;
    }
    for (size_t i = 0; i < r->ballot.in->count; i++) {
        if (!ballot_settled(&r->ballot, i)) {
            return false;
        }
    }
    return true;
}

/* Another history is elected: whom a follower hides may be told by that. Nothing is decided by it
 * any more, but everybody shall see the same from now on. */
static void look_again(struct round *r)
{
    census_take(r->ballot.in, r->memory);
    r->ballot = ballot_open(r->ballot.in, r->memory);
    if (r->out->kind == VERDICT_PRIMARY && !r->out->stale) {
        words_primary(&r->ballot, r->out);
    }
}

void election_run(const struct election_input *in, struct election_memory *memory,
                  struct verdict *out)
{
    assert(memory->incumbent < (int)in->count);
    char before[REPLID_MAX];
    memcpy(before, memory->elected.id, sizeof(before));
    census_take(in, memory);
    *out = (struct verdict){.primary = ELECTION_NOBODY};
    struct round r = {.ballot = ballot_open(in, memory), .memory = memory, .out = out};
    if (memory->started_ms == 0) {
        memory->started_ms = in->now_ms > 0 ? in->now_ms : 1;
    }
    for (size_t i = 0; i < in->count; i++) {
        remember_server(&r, i);
    }
    r.ballot = ballot_open(in, memory); /* its standing rests on the memory */
    election_decide(&r);
    if (!r.contested) {
        memory->contested_since_ms = 0;
    }
    if (strcmp(before, memory->elected.id) != 0) {
        look_again(&r);
    }
    out->settled = is_settled(&r);
}
