/* What the sentences of election_words.c are put together from: "redis-0 does not answer
 * (timeout)", "redis-1 claims". Each adds to what is there already; what is too long is cut. */
#ifndef ROUTER_MODEL_ELECTION_CLAUSE_H
#define ROUTER_MODEL_ELECTION_CLAUSE_H

#include "base/macros.h"
#include "model/ballot.h"

struct words {
    char *text; /* borrowed: ELECTION_REASON_MAX bytes */
    size_t len;
};

struct words clause_open(struct verdict *out);
void clause_add(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *clause_name(const struct ballot *b, int i);
const char *clause_incumbent(const struct ballot *b);
/* Whom a replica says that it follows. */
const char *clause_whom(const struct observation *o);

/* " (why)", if it is known. */
void clause_why(struct words *w, const struct observation *o);
/* "redis-0 does not answer (timeout)" */
void clause_state(struct words *w, const struct ballot *b, int i);
/* "redis-0, redis-1 and redis-2"; returns how many. */
size_t clause_names(struct words *w, const struct ballot *b,
                    bool (*pick)(const struct ballot *b, size_t i));
/* "2 of 3 Sentinels name" */
void clause_counted(struct words *w, const struct authority *a, unsigned count, const char *verb);
/* "2 of 3 Sentinels name redis-1", or, of one who is not counted, "Patroni names db-1" */
void clause_named(struct words *w, const struct ballot *b, int i, const char *what);
/* "; the Sentinels are not heard", "; 2 of 3 Sentinels name redis-1" */
void clause_authority(struct words *w, const struct ballot *b);
/* "; redis-2 follows another primary, 10.0.0.9:6379"; nothing of ELECTION_NOBODY */
void clause_stray(struct words *w, const struct ballot *b, int i);
/* "; redis-0 and redis-2 still claim, fenced" */
void clause_fenced(struct words *w, const struct ballot *b);

/* Server `i` claims beside the incumbent. */
bool clause_is_beside(const struct ballot *b, size_t i);
/* There is an authority, and nothing is heard of it. */
bool clause_is_unheard(const struct ballot *b);

#endif
