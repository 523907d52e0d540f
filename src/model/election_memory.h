/* What an election remembers, as text: for another process that takes over. A line for each value
 * that is not zero, "name value"; a name that is not known is skipped, so that either side may be
 * the newer one. Stamps in it count with those of the process, which are to be handed on as well;
 * times are of CLOCK_MONOTONIC. */
#ifndef ROUTER_MODEL_ELECTION_MEMORY_H
#define ROUTER_MODEL_ELECTION_MEMORY_H

#include <stdbool.h>

#include "base/text.h"
#include "model/election.h"

/* Without the incumbent, which is an index. */
void election_memory_save(const struct election_memory *m, struct text *out);
void server_memory_save(const struct server_memory *m, struct text *out);

/* One such line, without its end. False if it says nothing that is known. */
bool election_memory_take(struct election_memory *m, const char *line);
bool server_memory_take(struct server_memory *m, const char *line);

#endif
