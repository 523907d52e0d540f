/* The rules where somebody else decides about primaries too: Sentinels, Patroni. Theirs is one
 * word, the server's own claim the other; it takes both.
 *
 *  - A primary that answers and claims is unseated by the word of a majority of all of them, heard
 *    or not, and by nothing else. A promotion beside it that they have not agreed on yet is
 *    contested: writes wait for them.
 *  - Against one that is silent, one word is enough: whoever leads a failover knows of it a second
 *    before the others. That is for a promotion that was seen. A claim that nobody saw begin may be
 *    that of a former primary which comes back together with a Sentinel as forgetful as itself, so
 *    it has to wait until no majority speaks for somebody else any more.
 *  - Whoever leads a failover names the new primary only when it has seen the role change, but says
 *    before whom it promotes. Against one that is silent that is as good as a word, for a promotion
 *    that was seen, as long as nobody names a third server. It is no word: nothing else counts it.
 *  - So it may be that a majority still names the old primary when the new one is elected. Should
 * the old one come back before they have all heard of it, that is no reason to return to it: only a
 *    majority that has changed its mind since is a decision.
 *  - While none of them is heard, nobody new is chosen against an incumbent that did not step down.
 */
#include "model/election_authority.h"
#include "model/election_round.h"

static bool is_heard(const struct ballot *b)
{
    return b->in->authority.heard > 0;
}

bool authority_names(const struct ballot *b, size_t i)
{
    return is_heard(b) && b->in->authority.words[i] > 0;
}

static bool is_named_by_most(const struct ballot *b, size_t i)
{
    return is_heard(b) && b->in->authority.words[i] > b->in->authority.total / 2;
}

/* Two majorities cannot be; who hears of two has been told one of them before the other. */
int authority_choice(const struct ballot *b)
{
    int i = ballot_next(b, ELECTION_NOBODY, is_named_by_most);
    return i != ELECTION_NOBODY && round_is_only(b, i, is_named_by_most) ? i : ELECTION_NOBODY;
}

/* A word for it says nothing new, unless it was promoted from what its successor has, or that one
 * has stepped down: somebody has decided so since. */
static bool is_outvoted(const struct ballot *b, size_t i)
{
    return b->memory->servers[i].outvoted && b->standing != STANDING_STEPPED_DOWN &&
           !ballot_contends(b, i);
}

/* Whoever a majority names, if it claims. */
static int confirmed(const struct ballot *b)
{
    int i = authority_choice(b);
    bool good = i != ELECTION_NOBODY && ballot_claims(b, (size_t)i) && !is_outvoted(b, (size_t)i);
    return good ? i : ELECTION_NOBODY;
}

/* A majority speaks for a server other than `i`, and that one has not said itself that it is a
 * replica. */
static bool is_spoken_against(const struct ballot *b, size_t i)
{
    int other = authority_choice(b);
    if (other == ELECTION_NOBODY || other == (int)i) {
        return false;
    }
    return other != b->memory->incumbent || b->standing != STANDING_STEPPED_DOWN;
}

static bool may_succeed(const struct ballot *b, size_t i)
{
    return b->memory->incumbent != (int)i && ballot_claims(b, i) && authority_names(b, i) &&
           !is_outvoted(b, i) && ballot_is_kin(b, i) &&
           (ballot_contends(b, i) || !is_spoken_against(b, i));
}

static bool is_promotion_named(const struct ballot *b, size_t i)
{
    return may_succeed(b, i) && ballot_contends(b, i);
}

/* Somebody is ahead of whoever only promotes server `i`: a later failover has come to its end. */
static bool names_a_third(const struct ballot *b, size_t i)
{
    for (size_t other = 0; other < b->in->count; other++) {
        if (other != i && (int)other != b->memory->incumbent && authority_names(b, other)) {
            return true;
        }
    }
    return false;
}

static bool is_being_promoted(const struct ballot *b, size_t i)
{
    const unsigned *promoting = b->in->authority.promoting;
    return is_heard(b) && promoting != NULL && promoting[i] > 0 && b->memory->incumbent != (int)i &&
           ballot_contends(b, i) && !names_a_third(b, i);
}

/* The one of `set` that most of them name; NOBODY where two are named as often. */
static int most_named(const struct ballot *b, ballot_pick set)
{
    const unsigned *words = b->in->authority.words;
    int best = ballot_next(b, ELECTION_NOBODY, set);
    bool tie = false;
    for (int i = best; i != ELECTION_NOBODY; i = ballot_next(b, i, set)) {
        tie = i != best && (words[i] == words[best] || (tie && words[i] < words[best]));
        best = words[i] > words[best] ? i : best;
    }
    return tie ? ELECTION_NOBODY : best;
}

/* A majority names it, as far as they are heard: who is not may think so. */
static bool may_be_named_by_most(const struct ballot *b, size_t i)
{
    const struct authority *a = &b->in->authority;
    return a->words[i] + (a->total - a->heard) > a->total / 2;
}

/* Those who lag may name the old primary, now or when they are heard again. */
void election_outvote(struct round *r, int i, enum words_merit merit)
{
    const struct ballot *b = &r->ballot;
    int chosen = authority_choice(b);
    int from = r->memory->stepped_down ? ELECTION_NOBODY : r->memory->incumbent;
    if (chosen != ELECTION_NOBODY) {
        r->memory->servers[chosen].outvoted = true;
    }
    if (from != ELECTION_NOBODY) {
        r->memory->servers[from].outvoted = may_be_named_by_most(b, (size_t)from);
    }
    r->memory->servers[i].outvoted = false;
    round_elect(r, i, merit);
}

static void elect(struct round *r, int i)
{
    election_outvote(r, i, MERIT_AUTHORITY);
}

static void note_changed_minds(struct round *r)
{
    for (size_t i = 0; i < r->ballot.in->count; i++) {
        struct server_memory *server = &r->memory->servers[i];
        server->outvoted = server->outvoted && may_be_named_by_most(&r->ballot, i);
    }
}

/* ---- nobody was elected before ---- */

static void first(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int i = confirmed(b);
    if (i != ELECTION_NOBODY) {
        elect(r, i);
        return;
    }
    int awaited = ballot_next(b, ELECTION_NOBODY, round_awaits);
    if (b->in->now_ms < r->memory->started_ms + b->in->start_timeout_ms) {
        round_open(r, awaited);
        return;
    }
    if (!is_heard(b)) {
        election_first(r);
        return;
    }
    i = ballot_next(b, ELECTION_NOBODY, ballot_claims);
    bool good = i != ELECTION_NOBODY && round_is_only(b, i, ballot_claims) &&
                authority_names(b, (size_t)i) && !is_spoken_against(b, (size_t)i) &&
                ballot_contradiction(b, (size_t)i) == ELECTION_NOBODY;
    if (good && awaited == ELECTION_NOBODY) {
        elect(r, i);
    } else {
        round_open(r, awaited);
    }
}

/* ---- somebody was ---- */

static void stay_or_contest(struct round *r)
{
    if (ballot_next(&r->ballot, ELECTION_NOBODY, ballot_contends) != ELECTION_NOBODY) {
        round_contest(r);
    } else {
        election_stay(r);
    }
}

/* The incumbent does not answer, cannot take writes, or said that it is a replica. */
static void succeed(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int i = most_named(b, may_succeed);
    int early = ballot_next(b, ELECTION_NOBODY, is_being_promoted);
    if (i != ELECTION_NOBODY) {
        elect(r, i);
    } else if (early != ELECTION_NOBODY && round_is_only(b, early, is_being_promoted)) {
        election_outvote(r, early, MERIT_INTENTION);
    } else if (b->standing == STANDING_STEPPED_DOWN) {
        round_nobody(r);
    } else {
        round_hold(r);
    }
}

/* The incumbent was restarted, or was a replica in between. Whoever was promoted meanwhile needs
 * one word, as it would have while the incumbent was away. */
static void after_return(struct round *r)
{
    const struct ballot *b = &r->ballot;
    int i = most_named(b, is_promotion_named);
    int chosen = authority_choice(b);
    if (chosen == r->memory->incumbent && ballot_is_kin(b, (size_t)chosen)) {
        round_readmit(r);
        election_decide(r);
    } else if (i != ELECTION_NOBODY) {
        elect(r, i);
    } else if (chosen != ELECTION_NOBODY) {
        round_hold(r);
    } else {
        stay_or_contest(r);
    }
}

void election_by_authority(struct round *r)
{
    const struct ballot *b = &r->ballot;
    note_changed_minds(r);
    int i = confirmed(b);
    bool unseats = i != ELECTION_NOBODY && i != r->memory->incumbent && ballot_is_kin(b, (size_t)i);
    if (b->standing == STANDING_NONE) {
        first(r);
    } else if (unseats) {
        elect(r, i);
    } else if (b->standing == STANDING_STEPPED_DOWN) {
        if (is_heard(b)) {
            succeed(r);
        } else {
            election_after_demotion(r);
        }
    } else if (b->standing == STANDING_SILENT || b->standing == STANDING_UNREADY) {
        succeed(r);
    } else if (b->standing == STANDING_RETURNED && is_heard(b)) {
        after_return(r);
    } else {
        stay_or_contest(r); /* it claims, or cannot be asked */
    }
}
