/* One function for each kind of verdict; what several of them say is in election_clause.c. */
#include "model/election_words.h"

#include <inttypes.h>
#include <string.h>

#include "model/election_authority.h"
#include "model/election_clause.h"

/* Why the claim of a returned incumbent is a new one. */
static const char *absence(const struct ballot *b)
{
    if (!b->memory->stepped_down) {
        return "was restarted";
    }
    bool same = strcmp(b->in->seen[b->memory->incumbent].lineage.id, b->memory->elected.id) == 0;
    return same ? "took no writes in between" : "was a replica in between";
}

/* ---- elected ---- */

static void add_promotion(struct words *w, const struct ballot *b, int i)
{
    struct lineage_path path = {0};
    ballot_promoted(b, (size_t)i, &path);
    clause_add(w, "promoted from %s's history", clause_incumbent(b));
    if (b->in->seen[i].part == PART_LINEAGE) {
        clause_add(w, " at offset %" PRId64, path.end);
    }
}

static void add_data(struct words *w, const struct ballot *b, int i)
{
    size_t votes = ballot_votes(b, b->in->seen[i].lineage.id);
    clause_add(w, "it has everything that %s was seen to have, and ", clause_incumbent(b));
    if (votes > 0) {
        clause_add(w, "%zu %s it", votes, votes == 1 ? "replica follows" : "replicas follow");
    } else {
        clause_add(w, "no other server claims");
    }
}

static void add_kept(struct words *w, const struct ballot *b)
{
    bool promotion = ballot_next(b, ELECTION_NOBODY, ballot_contends) != ELECTION_NOBODY;
    clause_add(w, "kept, because %s: ",
               promotion ? "a promotion may lack its writes"
                         : "nothing decides against another claim");
    clause_names(w, b, promotion ? ballot_contends : clause_is_beside);
    clause_authority(w, b);
}

/* "db-1: the primary of its group, as the group says", "; db-0 cannot be reached" */
static void add_writer(struct words *w, const struct ballot *b)
{
    clause_add(w, "the first listed server that is synced");
    int old = b->memory->incumbent;
    if (old != ELECTION_NOBODY) {
        clause_add(w, "; ");
        clause_state(w, b, old);
    }
}

void words_elected(const struct ballot *b, int i, enum words_merit merit, char *why)
{
    struct words w = {.text = why};
    if (merit == MERIT_AUTHORITY) {
        clause_named(&w, b, i, clause_name(b, i));
        return;
    }
    if (merit == MERIT_INTENTION) {
        clause_counted(&w, &b->in->authority, b->in->authority.promoting[i], "promote");
        clause_add(&w, " %s", clause_name(b, i));
        return;
    }
    clause_add(&w, "%s: ", clause_name(b, i));
    switch (merit) {
    case MERIT_ONLY_CLAIM:
        clause_add(&w, "the only server that claims to be the primary");
        break;
    case MERIT_HISTORY:
        clause_add(&w, "its history contains that of every other claim");
        break;
    case MERIT_PROMOTION:
        add_promotion(&w, b, i);
        break;
    case MERIT_DATA:
        add_data(&w, b, i);
        break;
    case MERIT_FOLLOWERS:
        clause_add(&w, "more replicas follow it than any other server");
        break;
    case MERIT_DEMOTION:
        clause_add(&w, "%s stepped down, and no other server claims", clause_incumbent(b));
        break;
    case MERIT_RETURN:
        clause_add(&w, "it %s, and no other server was promoted meanwhile", absence(b));
        break;
    case MERIT_KEPT:
        add_kept(&w, b);
        break;
    case MERIT_GROUP:
        clause_add(&w, "the primary of its group");
        break;
    case MERIT_WRITER:
        add_writer(&w, b);
        break;
    case MERIT_FAILBACK:
        clause_add(&w, "listed before %s, and synced again", clause_incumbent(b));
        break;
    case MERIT_OPERATOR:
        clause_add(&w, "elected by the operator's word");
        break;
    case MERIT_AUTHORITY:
    case MERIT_INTENTION:
        break; /* said above */
    }
}

void words_primary(const struct ballot *b, struct verdict *out)
{
    struct words w = clause_open(out);
    clause_add(&w, "%s", b->memory->elected_why);
    clause_fenced(&w, b);
    clause_authority(&w, b);
    clause_stray(&w, b, ballot_next(b, ELECTION_NOBODY, ballot_strays));
}

void words_stale(const struct ballot *b, struct verdict *out)
{
    struct words w = clause_open(out);
    clause_state(&w, b, b->memory->incumbent);
    clause_add(&w, "; it keeps its role while nothing contradicts it");
    clause_fenced(&w, b);
}

/* ---- not elected ---- */

/* Why a claim beside an incumbent that takes no writes does not count. */
static void add_objections(struct words *w, const struct ballot *b, int i)
{
    const struct observation *o = &b->in->seen[i];
    if (!ballot_is_kin(b, (size_t)i)) {
        clause_why(w, o);
    } else if (o->barred) {
        clause_add(w, ", but is taken out by the operator");
    } else if (o->part == PART_GALERA) {
        clause_add(w, ", and follows when that has failed often enough");
    } else if (clause_is_unheard(b)) {
        return; /* that is said for all */
    } else if (b->in->authority.total > 0) {
        clause_add(w, ", but ");
        clause_named(w, b, i, "it");
    } else {
        clause_add(w, ", but %s",
                   ballot_promoted(b, (size_t)i, NULL) ? "lost an election to it"
                                                       : "is no promotion from its history");
    }
}

/* "; redis-1 claims, but lost an election to it" */
static void add_ineligible(struct words *w, const struct ballot *b)
{
    int i = ballot_next(b, ELECTION_NOBODY, clause_is_beside);
    for (; i != ELECTION_NOBODY; i = ballot_next(b, i, clause_is_beside)) {
        clause_add(w, "; %s claims", clause_name(b, i));
        add_objections(w, b, i);
    }
    clause_authority(w, b);
}

void words_hold(const struct ballot *b, struct verdict *out)
{
    struct words w = clause_open(out);
    if (!ballot_is_kin(b, (size_t)b->memory->incumbent)) {
        clause_state(&w, b, b->memory->incumbent);
        clause_add(&w, "; writes wait");
        return;
    }
    if (b->standing == STANDING_RETURNED && ballot_next(b, ELECTION_NOBODY, ballot_disputes) >= 0) {
        clause_add(&w, "%s %s, and ", clause_incumbent(b), absence(b));
        clause_names(&w, b, ballot_disputes);
        clause_add(&w, " claims too; nothing decides between them; writes wait");
        return;
    }
    if (b->standing == STANDING_RETURNED) {
        int chosen = authority_choice(b);
        bool other = chosen != ELECTION_NOBODY && chosen != b->memory->incumbent;
        clause_add(&w, "%s %s; writes wait until %s", clause_incumbent(b), absence(b),
                   other ? "it is known who may claim" : "the other servers have been asked");
        clause_authority(&w, b);
        return;
    }
    clause_state(&w, b, b->memory->incumbent);
    clause_add(&w, "; writes wait");
    if (b->standing == STANDING_DENIED) {
        clause_stray(&w, b, ballot_next(b, ELECTION_NOBODY, ballot_strays));
    }
    add_ineligible(&w, b);
}

static bool is_party(const struct ballot *b, size_t i)
{
    bool incumbent = b->memory->incumbent == (int)i && ballot_claims(b, i);
    bool member = b->memory->elected_part == PART_GROUP && ballot_claims(b, i);
    return incumbent || member || ballot_contends(b, i);
}

/* What keeps the only promotion there is from being elected. */
static void add_objection(struct words *w, const struct ballot *b, int i)
{
    int stray = ballot_contradiction(b, (size_t)i);
    int rival = ballot_rival(b, (size_t)i);
    if (stray != ELECTION_NOBODY) {
        clause_stray(w, b, stray);
    } else if (rival != ELECTION_NOBODY) {
        clause_add(w, "; the replicas follow %s, which lost before", clause_name(b, rival));
    } else if (!ballot_all_heard(b, (size_t)i)) {
        clause_add(w, "; the other servers are being asked");
    } else if (b->standing != STANDING_HOLDS) {
        clause_add(w, "; whether %s has all its writes cannot be known", clause_name(b, i));
    } else if (ballot_comparable(b, (size_t)i, (size_t)b->memory->incumbent)) {
        clause_add(w, "; %s's promotion lacks writes of %s", clause_name(b, i),
                   clause_incumbent(b));
    } else {
        clause_add(w, "; whether %s has all writes of %s is being asked", clause_name(b, i),
                   clause_incumbent(b));
    }
}

/* "; 1 of 3 Sentinels names redis-1" for each promotion */
static void add_claimed_words(struct words *w, const struct ballot *b, int first)
{
    for (int i = first; i != ELECTION_NOBODY && !clause_is_unheard(b);
         i = ballot_next(b, i, ballot_contends)) {
        clause_add(w, "; ");
        clause_named(w, b, i, clause_name(b, i));
    }
    if (clause_is_unheard(b)) {
        clause_authority(w, b);
    }
}

void words_contest(const struct ballot *b, bool refused, struct verdict *out)
{
    struct words w = clause_open(out);
    int first = ballot_next(b, ELECTION_NOBODY, ballot_contends);
    if (!ballot_claims(b, (size_t)b->memory->incumbent)) {
        clause_state(&w, b, b->memory->incumbent);
        clause_add(&w, "; ");
    }
    size_t count = clause_names(&w, b, is_party);
    clause_add(&w, count == 1 ? " claims" : count == 2 ? " both claim" : " claim");
    if (first == ELECTION_NOBODY) {
        clause_add(&w, "; the members of the group are being asked again");
    } else if (b->in->authority.total > 0) {
        add_claimed_words(&w, b, first);
    } else if (ballot_next(b, first, ballot_contends) == ELECTION_NOBODY) {
        add_objection(&w, b, first);
    } else {
        clause_add(&w, "; none is known to have all writes of the others");
    }
    clause_add(&w, refused ? "; undecided in time, so no primary" : "; writes wait");
}

static void add_claims(struct words *w, const struct ballot *b)
{
    if (ballot_next(b, ELECTION_NOBODY, ballot_claims) == ELECTION_NOBODY) {
        clause_add(w, "no server claims to be the primary");
        return;
    }
    size_t count = clause_names(w, b, ballot_claims);
    clause_add(w, count == 1 ? " claims" : count == 2 ? " both claim" : " claim");
}

void words_nobody(const struct ballot *b, struct verdict *out)
{
    struct words w = clause_open(out);
    const struct observation *o = &b->in->seen[b->memory->incumbent];
    if (o->reach == REACH_ANSWERED && (o->part != PART_SOURCE || o->follows[0] != '\0')) {
        clause_add(&w, "%s says it is a replica now, of %s", clause_incumbent(b), clause_whom(o));
        if (o->writable) {
            clause_why(&w, o); /* that is a claim, but for its channel */
        }
        clause_add(&w, "; ");
    } else if (o->reach == REACH_ANSWERED) {
        clause_state(&w, b, b->memory->incumbent);
        clause_add(&w, " now; ");
    } else {
        clause_state(&w, b, b->memory->incumbent);
        clause_add(&w, " and said before that it is a replica; ");
    }
    add_claims(&w, b);
    if (ballot_next(b, ELECTION_NOBODY, ballot_claims) == ELECTION_NOBODY) {
        return;
    }
    if (b->in->authority.heard > 0) {
        add_ineligible(&w, b);
    } else {
        clause_add(&w, ", but nothing shows who has its writes");
    }
}

static bool is_server(const struct ballot *b, size_t i)
{
    return i < b->in->count;
}

/* ": redis-0 does not answer (timeout), redis-1 is a replica of 10.0.0.2:6379" */
static void add_everyone(struct words *w, const struct ballot *b)
{
    const char *before = ": ";
    int i = ballot_next(b, ELECTION_NOBODY, is_server);
    for (; i != ELECTION_NOBODY; i = ballot_next(b, i, is_server)) {
        clause_add(w, "%s", before);
        clause_state(w, b, i);
        before = ", ";
    }
}

void words_first(const struct ballot *b, int awaited, struct verdict *out)
{
    struct words w = clause_open(out);
    int first = ballot_next(b, ELECTION_NOBODY, ballot_claims);
    add_claims(&w, b);
    if (first == ELECTION_NOBODY) {
        add_everyone(&w, b);
    } else if (awaited != ELECTION_NOBODY) {
        clause_add(&w, "; waiting, because ");
        clause_state(&w, b, awaited);
    } else if (ballot_next(b, first, ballot_claims) != ELECTION_NOBODY) {
        clause_add(&w, "; nothing decides between them");
    } else {
        clause_stray(&w, b, ballot_contradiction(b, (size_t)first));
        if (b->in->authority.heard > 0) {
            clause_add(&w, "; ");
            clause_named(&w, b, first, "it");
        }
    }
    clause_authority(&w, b);
}
