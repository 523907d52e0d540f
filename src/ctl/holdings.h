/* How many connections a process holds that was told to make room for another one: of all, of each
 * frontend's clients, to each server. It gets no more than it has and its waiting clients need, and
 * that becomes less with time. Both sides of an upgrade: the old one counts and tells (lines of
 * text), the new one counts them as its own for as long. Control thread only. */
#ifndef ROUTER_CTL_HOLDINGS_H
#define ROUTER_CTL_HOLDINGS_H

#include <stdbool.h>

#include "base/text.h"

struct control;
struct holdings;

/* Nothing is held. */
struct holdings *holdings_new(struct control *c);
void holdings_free(struct holdings *h); /* NULL is fine */

/* The old process: counts, and lets no server get a connection more than that, counted together
 * with those of clients that may still need one. True if something has changed. */
bool holdings_look(struct holdings *h, struct control *c);
/* What has changed since it was printed last, in lines. */
void holdings_print(struct holdings *h, const struct control *c, struct text *out);
/* It need not make room any more. */
void holdings_unlimit(struct control *c);

/* The new process: such a line is true from now on. */
void holdings_take(struct holdings *h, struct control *c, const char *line);
/* The other process is gone. */
void holdings_drop(struct holdings *h, struct control *c);

#endif
