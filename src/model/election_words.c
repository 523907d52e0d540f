/* Sentences are put together from clauses: "redis-0 does not answer (timeout)", "redis-1 claims".
 */
#include "model/election_words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "model/election_authority.h"

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

static const char *whom(const struct observation *o)
{
    return o->follows[0] != '\0' ? o->follows : "another server";
}

static void add_answer(struct words *w, const struct observation *o)
{
    bool alone = o->part == PART_SOURCE && o->follows[0] == '\0';
    if (o->claim == CLAIM_REPLICA && (alone || o->part == PART_GALERA)) {
        add(w, " takes no writes");
    } else if (o->claim == CLAIM_REPLICA && o->part == PART_GROUP) {
        add(w, " is a secondary of its group");
    } else if (o->claim == CLAIM_REPLICA) {
        add(w, " is a replica of %s", whom(o));
    } else if (o->claim == CLAIM_PRIMARY) {
        add(w, o->usable ? " claims to be the primary" : " claims, but can take no writes now");
    } else if (o->part == PART_GROUP || o->part == PART_GALERA) {
        add(w, " can take no writes now");
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

/* "the Sentinels" -> "Sentinels"; others have no article. */
static const char *bare_name(const char *name)
{
    return strncmp(name, "the ", 4) == 0 ? name + 4 : name;
}

/* "2 of 3 Sentinels name" */
static void add_counted(struct words *w, const struct authority *a, unsigned count,
                        const char *verb)
{
    add(w, "%u of %u %s %s%s", count, a->total, bare_name(a->name), verb, count == 1 ? "s" : "");
}

/* "2 of 3 Sentinels name redis-1", or, of one who is not counted, "Patroni names db-1" */
static void add_named(struct words *w, const struct ballot *b, int i, const char *what)
{
    const struct authority *a = &b->in->authority;
    unsigned count = a->heard > 0 ? a->words[i] : 0;
    if (bare_name(a->name) != a->name) {
        add_counted(w, a, count, "name");
        add(w, " %s", what);
    } else {
        add(w, "%s %s %s", a->name, count > 0 ? "names" : "does not name", what);
    }
}

static bool is_unheard(const struct ballot *b)
{
    return b->in->authority.total > 0 && b->in->authority.heard == 0;
}

/* "; the Sentinels are not heard", "; 2 of 3 Sentinels name redis-1" */
static void add_authority(struct words *w, const struct ballot *b)
{
    int i = authority_choice(b);
    const char *title = b->in->authority.name;
    if (is_unheard(b)) {
        add(w, "; %s %s not heard", title, bare_name(title) != title ? "are" : "is");
    } else if (i != ELECTION_NOBODY && i != b->memory->incumbent) {
        add(w, "; ");
        add_named(w, b, i, name(b, i));
    }
}

/* "; redis-2 follows another primary, 10.0.0.9:6379" */
static void add_stray(struct words *w, const struct ballot *b, int i)
{
    if (i == ELECTION_NOBODY) {
        return;
    }
    const char *other = b->in->seen[i].follows;
    add(w, "; %s follows another primary%s%s", name(b, i), other[0] ? ", " : "", other);
}

/* "; redis-0 and redis-2 still claim, fenced". In a Galera cluster all others could write, too. */
static void add_fenced(struct words *w, const struct ballot *b)
{
    if (b->memory->elected_part == PART_GALERA ||
        ballot_next(b, ELECTION_NOBODY, claims_beside) == ELECTION_NOBODY) {
        return;
    }
    add(w, "; ");
    size_t count = add_names(w, b, claims_beside);
    add(w, count == 1 ? " still claims, fenced" : " still claim, fenced");
}

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
    add(w, "promoted from %s's history", incumbent_name(b));
    if (b->in->seen[i].part == PART_LINEAGE) {
        add(w, " at offset %" PRId64, path.end);
    }
}

static void add_kept(struct words *w, const struct ballot *b)
{
    bool promotion = ballot_next(b, ELECTION_NOBODY, ballot_contends) != ELECTION_NOBODY;
    add(w, "kept, because %s: ",
        promotion ? "a promotion may lack its writes" : "nothing decides against another claim");
    add_names(w, b, promotion ? ballot_contends : claims_beside);
    add_authority(w, b);
}

/* "db-1: the primary of its group, as the group says", "; db-0 cannot be reached" */
static void add_writer(struct words *w, const struct ballot *b)
{
    add(w, "the first listed server that is synced");
    int old = b->memory->incumbent;
    if (old != ELECTION_NOBODY) {
        add(w, "; ");
        add_state(w, b, old);
    }
}

void words_elected(const struct ballot *b, int i, enum words_merit merit, char *why)
{
    struct words w = {.text = why};
    if (merit == MERIT_AUTHORITY) {
        add_named(&w, b, i, name(b, i));
        return;
    }
    if (merit == MERIT_INTENTION) {
        add_counted(&w, &b->in->authority, b->in->authority.promoting[i], "promote");
        add(&w, " %s", name(b, i));
        return;
    }
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
    case MERIT_GROUP:
        add(&w, "the primary of its group");
        break;
    case MERIT_WRITER:
        add_writer(&w, b);
        break;
    case MERIT_FAILBACK:
        add(&w, "listed before %s, and synced again", incumbent_name(b));
        break;
    case MERIT_OPERATOR:
        add(&w, "elected by the operator's word");
        break;
    case MERIT_AUTHORITY:
    case MERIT_INTENTION:
        break; /* said above */
    }
}

void words_primary(const struct ballot *b, struct verdict *out)
{
    struct words w = open_reason(out);
    add(&w, "%s", b->memory->elected_why);
    add_fenced(&w, b);
    add_authority(&w, b);
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

/* Why a claim beside an incumbent that takes no writes does not count. */
static void add_objections(struct words *w, const struct ballot *b, int i)
{
    const struct observation *o = &b->in->seen[i];
    if (!ballot_is_kin(b, (size_t)i)) {
        add_why(w, o);
    } else if (o->part == PART_GALERA) {
        add(w, ", and follows when that has failed often enough");
    } else if (is_unheard(b)) {
        return; /* that is said for all */
    } else if (b->in->authority.total > 0) {
        add(w, ", but ");
        add_named(w, b, i, "it");
    } else {
        add(w, ", but %s",
            ballot_promoted(b, (size_t)i, NULL) ? "lost an election to it"
                                                : "is no promotion from its history");
    }
}

/* "; redis-1 claims, but lost an election to it" */
static void add_ineligible(struct words *w, const struct ballot *b)
{
    int i = ballot_next(b, ELECTION_NOBODY, claims_beside);
    for (; i != ELECTION_NOBODY; i = ballot_next(b, i, claims_beside)) {
        add(w, "; %s claims", name(b, i));
        add_objections(w, b, i);
    }
    add_authority(w, b);
}

void words_hold(const struct ballot *b, struct verdict *out)
{
    struct words w = open_reason(out);
    if (!ballot_is_kin(b, (size_t)b->memory->incumbent)) {
        add_state(&w, b, b->memory->incumbent);
        add(&w, "; writes wait");
        return;
    }
    if (b->standing == STANDING_RETURNED && ballot_next(b, ELECTION_NOBODY, ballot_disputes) >= 0) {
        add(&w, "%s %s, and ", incumbent_name(b), absence(b));
        add_names(&w, b, ballot_disputes);
        add(&w, " claims too; nothing decides between them; writes wait");
        return;
    }
    if (b->standing == STANDING_RETURNED) {
        int chosen = authority_choice(b);
        bool other = chosen != ELECTION_NOBODY && chosen != b->memory->incumbent;
        add(&w, "%s %s; writes wait until %s", incumbent_name(b), absence(b),
            other ? "it is known who may claim" : "the other servers have been asked");
        add_authority(&w, b);
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
    bool member = b->memory->elected_part == PART_GROUP && ballot_claims(b, i);
    return incumbent || member || ballot_contends(b, i);
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

/* "; 1 of 3 Sentinels names redis-1" for each promotion */
static void add_claimed_words(struct words *w, const struct ballot *b, int first)
{
    for (int i = first; i != ELECTION_NOBODY && !is_unheard(b);
         i = ballot_next(b, i, ballot_contends)) {
        add(w, "; ");
        add_named(w, b, i, name(b, i));
    }
    if (is_unheard(b)) {
        add_authority(w, b);
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
    if (first == ELECTION_NOBODY) {
        add(&w, "; the members of the group are being asked again");
    } else if (b->in->authority.total > 0) {
        add_claimed_words(&w, b, first);
    } else if (ballot_next(b, first, ballot_contends) == ELECTION_NOBODY) {
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
    if (o->reach == REACH_ANSWERED && (o->part != PART_SOURCE || o->follows[0] != '\0')) {
        add(&w, "%s says it is a replica now, of %s; ", incumbent_name(b), whom(o));
    } else if (o->reach == REACH_ANSWERED) {
        add_state(&w, b, b->memory->incumbent);
        add(&w, " now; ");
    } else {
        add_state(&w, b, b->memory->incumbent);
        add(&w, " and said before that it is a replica; ");
    }
    add_claims(&w, b);
    if (ballot_next(b, ELECTION_NOBODY, ballot_claims) == ELECTION_NOBODY) {
        return;
    }
    if (b->in->authority.heard > 0) {
        add_ineligible(&w, b);
    } else {
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
        if (b->in->authority.heard > 0) {
            add(&w, "; ");
            add_named(&w, b, first, "it");
        }
    }
    add_authority(&w, b);
}
