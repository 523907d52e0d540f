/* What Sentinels or Patroni say (in->authority), for the rules and for the words. */
#ifndef ROUTER_MODEL_ELECTION_AUTHORITY_H
#define ROUTER_MODEL_ELECTION_AUTHORITY_H

#include "model/ballot.h"

/* At least one of them names server `i`. */
bool authority_names(const struct ballot *b, size_t i);

/* The server that a majority of all of them names; ELECTION_NOBODY if there is none. */
int authority_choice(const struct ballot *b);

#endif
