/* Says a verdict in one sentence, for somebody who was woken up by it. Lists are in the order of
 * the servers' names; what is too long is cut. */
#ifndef ROUTER_MODEL_ELECTION_WORDS_H
#define ROUTER_MODEL_ELECTION_WORDS_H

#include "model/ballot.h"

/* What a server was elected for. */
enum words_merit {
    MERIT_ONLY_CLAIM, /* nobody else claims, and nobody was elected before */
    MERIT_HISTORY,    /* it has everything that the others have */
    MERIT_PROMOTION,  /* it was promoted from the elected history */
    MERIT_DATA,       /* it has all that the incumbent, who is gone, was seen to have */
    MERIT_FOLLOWERS,  /* more replicas follow it than any other */
    MERIT_DEMOTION,   /* the incumbent stepped down, nobody else claims */
    MERIT_RETURN,     /* the incumbent is back, nobody was promoted meanwhile */
    MERIT_KEPT,       /* the incumbent, after a contest */
    MERIT_OPERATOR,   /* the operator said so */
    MERIT_AUTHORITY,  /* Sentinels, or Patroni, name it */
    MERIT_INTENTION,  /* one of them was promoting it */
    MERIT_GROUP,      /* its group has elected it */
    MERIT_WRITER,     /* Galera: the first listed of those that could write */
    MERIT_FAILBACK,   /* the same, and it is back */
};

/* Why server `i` is elected now, to be remembered: `why` holds ELECTION_REASON_MAX bytes. */
void words_elected(const struct ballot *b, int i, enum words_merit merit, char *why);

/* The incumbent is the primary. */
void words_primary(const struct ballot *b, struct verdict *out);
/* It is, and cannot be asked. */
void words_stale(const struct ballot *b, struct verdict *out);
/* Writes wait for it. */
void words_hold(const struct ballot *b, struct verdict *out);
/* A promotion and the incumbent, or several promotions; `refused`: it was not decided in time. */
void words_contest(const struct ballot *b, bool refused, struct verdict *out);
/* It stepped down, and nobody succeeds it. */
void words_nobody(const struct ballot *b, struct verdict *out);
/* Nobody was elected before, nor now; `awaited` is a server to be heard first, or ELECTION_NOBODY.
 */
void words_first(const struct ballot *b, int awaited, struct verdict *out);

#endif
