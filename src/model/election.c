/* How an election runs: first the memory is brought up to date with what was seen, then the rule
 * for the incumbent's standing decides, then what is decided is remembered.
 *
 *   nobody was elected yet    first_election()
 *   it stepped down           after_demotion()
 *   otherwise                 succession(): a promotion that succeeds it, or a contest, or it stays
 *
 * Two thoughts run through all rules. A claim is believed for the history that it continues, never
 * for being the only one: a server that was restarted, or lost an election, has the same
 * role:master as the true primary. And silence decides nothing: it holds writes, but neither takes
 * the incumbent's role away nor gives it to somebody who had no right to it before. */
#include "model/election.h"

#include <assert.h>
#include <string.h>

#include "model/ballot.h"
#include "model/election_words.h"

struct round {
    struct ballot ballot;
    struct election_memory *memory;
    struct verdict *out;
    bool contested; /* the contest goes on */
};

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

static void remember_server(struct round *r, size_t i)
{
    const struct observation *o = &r->ballot.in->seen[i];
    struct server_memory *server = &r->memory->servers[i];
    if (o->reach != REACH_ANSWERED) {
        return;
    }
    server->proven = true;
    if (ballot_claims(&r->ballot, i)) {
        remember_claim(r->memory, server, o);
        if (r->memory->incumbent == (int)i && r->ballot.standing == STANDING_HOLDS) {
            r->memory->elected = o->lineage;
        }
        return;
    }
    server->claimed_id[0] = '\0';
    if (o->claim == CLAIM_REPLICA) {
        memcpy(server->unlinked_identity, o->identity, sizeof(server->unlinked_identity));
    }
    if (ballot_follows(&r->ballot, i)) {
        memcpy(server->replica_identity, o->identity, sizeof(server->replica_identity));
    }
    if (o->claim == CLAIM_REPLICA && r->memory->incumbent == (int)i) {
        r->memory->stepped_down = true;
    }
}

/* ---- the ways an election ends ---- */

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
        if (r->memory->incumbent != (int)i && ballot_claims(&r->ballot, i)) {
            lineage_lose(&r->memory->histories, in->seen[i].lineage.id);
            memcpy(r->memory->servers[i].lost_id, in->seen[i].lineage.id, REPLID_MAX);
        }
    }
}

/* From now on, `i` in its present process and history is the elected one. */
static void adopt(struct election_memory *memory, int i, const struct observation *o)
{
    memory->incumbent = i;
    memory->elected = o->lineage;
    memcpy(memory->elected_identity, o->identity, sizeof(memory->elected_identity));
    memory->stepped_down = false;
}

/* Server `i` is the primary, by its own word. */
static void seat(struct round *r, int i)
{
    adopt(r->memory, i, &r->ballot.in->seen[i]);
    lose_others(r);
    conclude(r, VERDICT_PRIMARY);
    words_primary(&r->ballot, r->out);
}

static void elect(struct round *r, int i, enum words_merit merit)
{
    words_elected(&r->ballot, i, merit, r->memory->elected_why);
    seat(r, i);
}

/* The incumbent cannot be asked, was proven, and nothing speaks against it. */
static void trust_stale(struct round *r)
{
    lose_others(r);
    conclude(r, VERDICT_PRIMARY);
    r->out->stale = true;
    words_stale(&r->ballot, r->out);
}

static void hold(struct round *r)
{
    conclude(r, VERDICT_HOLD);
    words_hold(&r->ballot, r->out);
}

static void nobody(struct round *r)
{
    conclude(r, VERDICT_NOBODY);
    words_nobody(&r->ballot, r->out);
}

/* ---- who succeeds ---- */

typedef bool (*ballot_pick)(const struct ballot *b, size_t i);

/* All of `set` but `i`, and the incumbent while it holds, have nothing that `i` has not. */
static bool supersedes_all(const struct ballot *b, size_t i, ballot_pick set)
{
    if (b->standing == STANDING_HOLDS && !ballot_supersedes(b, i, (size_t)b->memory->incumbent)) {
        return false;
    }
    for (size_t other = 0; other < b->in->count; other++) {
        if (other != i && set(b, other) && !ballot_supersedes(b, i, other)) {
            return false;
        }
    }
    return true;
}

/* Containment: the one of `set` whose election loses nothing. There cannot be two. */
static int by_history(const struct ballot *b, ballot_pick set)
{
    int i = ballot_next(b, ELECTION_NOBODY, set);
    while (i != ELECTION_NOBODY && !supersedes_all(b, (size_t)i, set)) {
        i = ballot_next(b, i, set);
    }
    return i;
}

static bool is_only(const struct ballot *b, int i, ballot_pick set)
{
    return ballot_next(b, ELECTION_NOBODY, set) == i && ballot_next(b, i, set) == ELECTION_NOBODY;
}

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
    int i = by_history(b, ballot_contends);
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

/* ---- nobody was elected before ---- */

/* Something is still to be learnt from server `i` before the first primary may be elected. A server
 * that accepts connections and is silent may be a primary that is stopped for a moment, and one
 * that is loading is one that comes back. A refused question is not waited for: that may last for
 * ever. */
static bool is_awaited(const struct ballot *b, size_t i)
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

static void first_election(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int i = by_history(b, ballot_claims);
    enum words_merit merit = is_only(b, i, ballot_claims) ? MERIT_ONLY_CLAIM : MERIT_HISTORY;
    if (i == ELECTION_NOBODY) {
        i = ballot_next(b, ELECTION_NOBODY, claims_and_leads);
        merit = MERIT_FOLLOWERS;
    }
    int awaited = ballot_next(b, ELECTION_NOBODY, is_awaited);
    if (i != ELECTION_NOBODY && awaited == ELECTION_NOBODY &&
        ballot_contradiction(b, (size_t)i) == ELECTION_NOBODY) {
        elect(r, i, merit);
        return;
    }
    conclude(r, VERDICT_NOBODY);
    words_first(b, awaited, r->out);
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
    return (by_itself || ballot_promoted(b, i, NULL)) && claims_and_leads(b, i);
}

/* A demotion is a decision too: it overrules the elections that the server it was made for lost. */
static int only_claim(const struct ballot *b)
{
    int i = ballot_next(b, ELECTION_NOBODY, ballot_claims);
    if (i == ELECTION_NOBODY || !is_only(b, i, ballot_claims)) {
        return ELECTION_NOBODY;
    }
    bool good = ballot_promoted(b, (size_t)i, NULL) && is_undisputed(b, (size_t)i);
    return good ? i : ELECTION_NOBODY;
}

static void after_demotion(struct round *r)
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
        nobody(r);
    } else {
        elect(r, i, merit);
    }
}

/* ---- the incumbent has not stepped down ---- */

static void succession(struct round *r);

/* A restarted incumbent is accepted as it is: nobody can tell an empty server from one that has
 * read its whole append-only file. But all others are asked first: one of them may have been
 * promoted while it was away, and would count no more once the new history is the elected one. And
 * then it is asked who was promoted from that one. A claim that may be a promotion which nobody saw
 * is as good as that of a restarted server: then nothing decides but followers. */
static void accept_return(struct round *r)
{
    int i = r->memory->incumbent;
    bool disputed = ballot_next(&r->ballot, ELECTION_NOBODY, ballot_disputes) != ELECTION_NOBODY;
    if (disputed || !ballot_all_heard(&r->ballot, (size_t)i)) {
        hold(r);
        return;
    }
    words_elected(&r->ballot, i, MERIT_RETURN, r->memory->elected_why);
    adopt(r->memory, i, &r->ballot.in->seen[i]);
    r->ballot = ballot_open(r->ballot.in, r->memory);
    assert(r->ballot.standing == STANDING_HOLDS);
    succession(r);
}

/* All followers have left for another history: that contradicts who cannot be asked. */
static bool is_deserted(const struct ballot *b)
{
    return ballot_votes(b, b->memory->elected.id) == 0 &&
           ballot_next(b, ELECTION_NOBODY, ballot_strays) != ELECTION_NOBODY;
}

static void stay(struct round *r)
{
    enum standing standing = r->ballot.standing;
    if (standing == STANDING_HOLDS) {
        seat(r, r->memory->incumbent);
    } else if (standing == STANDING_RETURNED) {
        accept_return(r);
    } else if (standing == STANDING_DENIED && !is_deserted(&r->ballot)) {
        trust_stale(r);
    } else {
        hold(r);
    }
}

/* The contest has lasted long enough, and the configuration says to keep the incumbent. One that
 * does not answer cannot be kept: nothing is known of it. */
static void keep(struct round *r)
{
    r->contested = false;
    if (r->ballot.standing == STANDING_DENIED) {
        lose_others(r);
        stay(r);
    } else {
        elect(r, r->memory->incumbent, MERIT_KEPT);
    }
}

static bool can_be_kept(enum standing standing)
{
    return standing == STANDING_HOLDS || standing == STANDING_RETURNED ||
           standing == STANDING_DENIED;
}

/* A promotion that may lack writes of the incumbent, or of another promotion: writes wait until
 * more is known, but not for ever. */
static void contest(struct round *r)
{
    const struct election_input *in = r->ballot.in;
    if (r->memory->contested_since_ms == 0) {
        r->memory->contested_since_ms = in->now_ms > 0 ? in->now_ms : 1;
    }
    r->contested = true;
    bool over = in->now_ms >= r->memory->contested_since_ms + in->conflict_timeout_ms;
    if (over && in->on_conflict == CONFLICT_KEEP && can_be_kept(r->ballot.standing)) {
        keep(r);
        return;
    }
    bool refused = over && in->on_conflict == CONFLICT_REFUSE;
    conclude(r, refused ? VERDICT_NOBODY : VERDICT_CONTESTED);
    words_contest(&r->ballot, refused, r->out);
}

static void succession(struct round *r)
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
    if (i != ELECTION_NOBODY) {
        elect(r, i, merit);
    } else if (ballot_next(b, ELECTION_NOBODY, ballot_contends) != ELECTION_NOBODY) {
        contest(r);
    } else {
        stay(r);
    }
}

/* ---- */

static void decide(struct round *r)
{
    switch (r->ballot.standing) {
    case STANDING_NONE:
        first_election(r);
        break;
    case STANDING_STEPPED_DOWN:
        after_demotion(r);
        break;
    default:
        succession(r);
        break;
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

void election_run(const struct election_input *in, struct election_memory *memory,
                  struct verdict *out)
{
    assert(memory->incumbent < (int)in->count);
    *out = (struct verdict){.primary = ELECTION_NOBODY};
    struct round r = {.ballot = ballot_open(in, memory), .memory = memory, .out = out};
    if (memory->started_ms == 0) {
        memory->started_ms = in->now_ms > 0 ? in->now_ms : 1;
    }
    for (size_t i = 0; i < in->count; i++) {
        remember_server(&r, i);
    }
    r.ballot = ballot_open(in, memory); /* its standing rests on the memory */
    decide(&r);
    if (!r.contested) {
        memory->contested_since_ms = 0;
    }
    out->settled = is_settled(&r);
}
