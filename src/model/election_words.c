/* Sentences are put together from clauses: "redis-0 does not answer (timeout)", "redis-1 claims".
 */
#include "model/election_words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"

struct words {
    char *text; /* borrowed: ELECTION_REASON_MAX bytes */
    size_t len;
};

static void add(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct words *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->text + w->len, ELECTION_REASON_MAX - w->len, fmt, args);
    va_end(args);
    w->len += n > 0 ? (size_t)n : 0;
    if (w->len > ELECTION_REASON_MAX - 1) {
        w->len = ELECTION_REASON_MAX - 1;
    }
}

static struct words open_reason(struct verdict *out)
{
    return (struct words){.text = out->reason};
}

static const char *name(const struct ballot *b, int i)
{
    return b->in->servers[i].name;
}

static const char *incumbent_name(const struct ballot *b)
{
    return name(b, b->memory->incumbent);
}

/* " (why)", if it is known. */
static void add_why(struct words *w, const struct observation *o)
{
    if (o->why[0] != '\0') {
        add(w, " (%s)", o->why);
    }
}

static void add_answer(struct words *w, const struct observation *o)
{
    if (o->claim == CLAIM_REPLICA) {
        add(w, " is a replica of %s", o->follows[0] ? o->follows : "another server");
    } else if (o->claim == CLAIM_PRIMARY) {
        add(w, o->usable ? " claims to be the primary" : " claims, but can take no writes now");
    } else {
        add(w, " does not say its role");
    }
}

static void add_state(struct words *w, const struct ballot *b, int i)
{
    const struct observation *o = &b->in->seen[i];
    add(w, "%s", name(b, i));
    switch (o->reach) {
    case REACH_UNASKED:
        add(w, " was not asked yet");
        break;
    case REACH_ANSWERED:
        add_answer(w, o);
        break;
    case REACH_SILENT:
        add(w, " does not answer");
        break;
    case REACH_REFUSED:
        add(w, " cannot be reached");
        break;
    case REACH_DENIED:
        add(w, " cannot be asked");
        break;
    }
    add_why(w, o);
}

/* "redis-0, redis-1 and redis-2"; returns how many. */
static size_t add_names(struct words *w, const struct ballot *b,
                        bool (*pick)(const struct ballot *b, size_t i))
{
    size_t count = 0;
    int i = ballot_next(b, ELECTION_NOBODY, pick);
    while (i != ELECTION_NOBODY) {
        int next = ballot_next(b, i, pick);
        const char *before = next == ELECTION_NOBODY ? " and " : ", ";
        add(w, "%s%s", count > 0 ? before : "", name(b, i));
        count++;
        i = next;
    }
    return count;
}

static bool claims_beside(const struct ballot *b, size_t i)
{
    return b->memory->incumbent != (int)i && ballot_claims(b, i);
}

/* "; redis-2 follows another primary, 10.0.0.9:6379" */
static void add_stray(struct words *w, const struct ballot *b, int i)
{
    if (i == ELECTION_NOBODY) {
        return;
    }
    const char *whom = b->in->seen[i].follows;
    add(w, "; %s follows another primary%s%s", name(b, i), whom[0] ? ", " : "", whom);
}

/* "; redis-0 and redis-2 still claim, fenced" */
static void add_fenced(struct words *w, const struct ballot *b)
{
    if (ballot_next(b, ELECTION_NOBODY, claims_beside) == ELECTION_NOBODY) {
        return;
    }
    add(w, "; ");
    size_t count = add_names(w, b, claims_beside);
    add(w, count == 1 ? " still claims, fenced" : " still claim, fenced");
}

/* Why the claim of a returned incumbent is a new one. */
static const char *absence(const struct ballot *b)
{
    return b->memory->stepped_down ? "was a replica in between" : "was restarted";
}

/* ---- elected ---- */

static void add_promotion(struct words *w, const struct ballot *b, int i)
{
    struct lineage_path path = {0};
    ballot_promoted(b, (size_t)i, &path);
    add(w, "promoted from %s's history at offset %" PRId64, incumbent_name(b), path.end);
}

static void add_kept(struct words *w, const struct ballot *b)
{
    add(w, "kept, because a promotion may lack its writes: ");
    add_names(w, b, ballot_contends);
}

void words_elected(const struct ballot *b, int i, enum words_merit merit, char *why)
{
    struct words w = {.text = why};
    add(&w, "%s: ", name(b, i));
    switch (merit) {
    case MERIT_ONLY_CLAIM:
        add(&w, "the only server that claims to be the primary");
        break;
    case MERIT_HISTORY:
        add(&w, "its history contains that of every other claim");
        break;
    case MERIT_PROMOTION:
        add_promotion(&w, b, i);
        break;
    case MERIT_FOLLOWERS:
        add(&w, "more replicas follow it than any other server");
        break;
    case MERIT_DEMOTION:
        add(&w, "%s stepped down, and no other server claims", incumbent_name(b));
        break;
    case MERIT_RETURN:
        add(&w, "it %s, and no other server was promoted meanwhile", absence(b));
        break;
    case MERIT_KEPT:
        add_kept(&w, b);
        break;
    }
}

void words_primary(const struct ballot *b, struct verdict *out)
{
    struct words w = open_reason(out);
    add(&w, "%s", b->memory->elected_why);
    add_fenced(&w, b);
    add_stray(&w, b, ballot_next(b, ELECTION_NOBODY, ballot_strays));
}

void words_stale(const struct ballot *b, struct verdict *out)
{
    struct words w = open_reason(out);
    add_state(&w, b, b->memory->incumbent);
    add(&w, "; it keeps its role while nothing contradicts it");
    add_fenced(&w, b);
}

/* ---- not elected ---- */

/* Why the claims beside a silent incumbent do not count: "; redis-1 claims, but lost to it before"
 */
static void add_ineligible(struct words *w, const struct ballot *b)
{
    int i = ballot_next(b, ELECTION_NOBODY, claims_beside);
    for (; i != ELECTION_NOBODY; i = ballot_next(b, i, claims_beside)) {
        bool lost = ballot_promoted(b, (size_t)i, NULL);
        add(w, "; %s claims, but %s", name(b, i),
            lost ? "lost an election to it" : "is no promotion from its history");
    }
}

void words_hold(const struct ballot *b, struct verdict *out)
{
    struct words w = open_reason(out);
    if (b->standing == STANDING_RETURNED && ballot_next(b, ELECTION_NOBODY, ballot_disputes) >= 0) {
        add(&w, "%s %s, and ", incumbent_name(b), absence(b));
        add_names(&w, b, ballot_disputes);
        add(&w, " claims too; nothing decides between them; writes wait");
        return;
    }
    if (b->standing == STANDING_RETURNED) {
        add(&w, "%s %s; writes wait until the other servers have been asked", incumbent_name(b),
            absence(b));
        return;
    }
    add_state(&w, b, b->memory->incumbent);
    add(&w, "; writes wait");
    if (b->standing == STANDING_DENIED) {
        add_stray(&w, b, ballot_next(b, ELECTION_NOBODY, ballot_strays));
    }
    add_ineligible(&w, b);
}

static bool is_party(const struct ballot *b, size_t i)
{
    bool incumbent = b->memory->incumbent == (int)i && ballot_claims(b, i);
    return incumbent || ballot_contends(b, i);
}

/* What keeps the only promotion there is from being elected. */
static void add_objection(struct words *w, const struct ballot *b, int i)
{
    int stray = ballot_contradiction(b, (size_t)i);
    int rival = ballot_rival(b, (size_t)i);
    if (stray != ELECTION_NOBODY) {
        add_stray(w, b, stray);
    } else if (rival != ELECTION_NOBODY) {
        add(w, "; the replicas follow %s, which lost before", name(b, rival));
    } else if (!ballot_all_heard(b, (size_t)i)) {
        add(w, "; the other servers are being asked");
    } else if (b->standing != STANDING_HOLDS) {
        add(w, "; whether %s has all its writes cannot be known", name(b, i));
    } else if (ballot_comparable(b, (size_t)i, (size_t)b->memory->incumbent)) {
        add(w, "; %s's promotion lacks writes of %s", name(b, i), incumbent_name(b));
    } else {
        add(w, "; whether %s has all writes of %s is being asked", name(b, i), incumbent_name(b));
    }
}

void words_contest(const struct ballot *b, bool refused, struct verdict *out)
{
    struct words w = open_reason(out);
    int first = ballot_next(b, ELECTION_NOBODY, ballot_contends);
    if (!ballot_claims(b, (size_t)b->memory->incumbent)) {
        add_state(&w, b, b->memory->incumbent);
        add(&w, "; ");
    }
    size_t count = add_names(&w, b, is_party);
    add(&w, count == 1 ? " claims" : count == 2 ? " both claim" : " claim");
    if (ballot_next(b, first, ballot_contends) == ELECTION_NOBODY) {
        add_objection(&w, b, first);
    } else {
        add(&w, "; none is known to have all writes of the others");
    }
    add(&w, refused ? "; undecided in time, so no primary" : "; writes wait");
}

static void add_claims(struct words *w, const struct ballot *b)
{
    if (ballot_next(b, ELECTION_NOBODY, ballot_claims) == ELECTION_NOBODY) {
        add(w, "no server claims to be the primary");
        return;
    }
    size_t count = add_names(w, b, ballot_claims);
    add(w, count == 1 ? " claims" : count == 2 ? " both claim" : " claim");
}

void words_nobody(const struct ballot *b, struct verdict *out)
{
    struct words w = open_reason(out);
    const struct observation *o = &b->in->seen[b->memory->incumbent];
    if (o->reach == REACH_ANSWERED) {
        add(&w, "%s says it is a replica now, of %s; ", incumbent_name(b),
            o->follows[0] ? o->follows : "another server");
    } else {
        add_state(&w, b, b->memory->incumbent);
        add(&w, " and said before that it is a replica; ");
    }
    add_claims(&w, b);
    if (ballot_next(b, ELECTION_NOBODY, ballot_claims) != ELECTION_NOBODY) {
        add(&w, ", but nothing shows who has its writes");
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
        add(w, "%s", before);
        add_state(w, b, i);
        before = ", ";
    }
}

void words_first(const struct ballot *b, int awaited, struct verdict *out)
{
    struct words w = open_reason(out);
    int first = ballot_next(b, ELECTION_NOBODY, ballot_claims);
    add_claims(&w, b);
    if (first == ELECTION_NOBODY) {
        add_everyone(&w, b);
    } else if (awaited != ELECTION_NOBODY) {
        add(&w, "; waiting, because ");
        add_state(&w, b, awaited);
    } else if (ballot_next(b, first, ballot_claims) != ELECTION_NOBODY) {
        add(&w, "; nothing decides between them");
    } else {
        add_stray(&w, b, ballot_contradiction(b, (size_t)first));
    }
}
