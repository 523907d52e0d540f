/* One run of an election, for the inside of the election only: the ways in which it ends, and the
 * questions that several rules ask. Each round_*() that ends it writes the verdict and what is to
 * be remembered of it.
 *
 * election.c has the rules for servers that replicate from one another, election_authority.c those
 * where somebody else decides too, election_group.c those of groups and of Galera. */
#ifndef ROUTER_MODEL_ELECTION_ROUND_H
#define ROUTER_MODEL_ELECTION_ROUND_H

#include "model/ballot.h"
#include "model/election_words.h"

struct round {
    struct ballot ballot;
    struct election_memory *memory;
    struct verdict *out;
    bool contested; /* the contest goes on */
};

typedef bool (*ballot_pick)(const struct ballot *b, size_t i);

/* Server `i` is the primary, by its own word; an incumbent that the operator has taken out is only
 * kept until another one is. */
void round_seat(struct round *r, int i);
/* The same, from now on: `merit` is remembered. */
void round_elect(struct round *r, int i, enum words_merit merit);
/* The incumbent cannot be asked: it keeps its role, unless its followers have left. */
void round_stale(struct round *r);
/* The incumbent stays, and writes wait. */
void round_hold(struct round *r);
/* The incumbent stepped down, and nobody succeeds it. */
void round_nobody(struct round *r);
/* Several claims that nothing decides between: writes wait, but not for ever. */
void round_contest(struct round *r);
/* Nobody was elected before, nor now. */
void round_open(struct round *r, int awaited);

/* What the elected server has, as `o` shows while it is accepted. */
void round_remember_data(struct election_memory *memory, const struct observation *o);

/* A restarted incumbent is the elected one as it is now; its merit is remembered. */
void round_readmit(struct round *r);

/* Containment: the one of `set` whose election loses nothing. There cannot be two. */
int round_by_history(const struct ballot *b, ballot_pick set);
bool round_is_only(const struct ballot *b, int i, ballot_pick set);
/* Something is still to be learnt from server `i` before the first primary may be elected. */
bool round_awaits(const struct ballot *b, size_t i);

/* Decides by whatever rules hold for the incumbent. */
void election_decide(struct round *r);

/* The rules of election.c, for the others to fall back on. */
void election_first(struct round *r);
void election_after_demotion(struct round *r);
void election_succession(struct round *r);
void election_stay(struct round *r);

/* election_authority.c: with in->authority. */
void election_by_authority(struct round *r);
/* round_elect(), although a majority may name another server: it has to change its mind before it
 * counts again. */
void election_outvote(struct round *r, int i, enum words_merit merit);

/* election_group.c: PART_GROUP and PART_GALERA. */
void election_of_group(struct round *r);
void election_of_galera(struct round *r);

#endif
