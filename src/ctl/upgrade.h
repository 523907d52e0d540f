/* Another process of the router takes the place of this one: a new binary, or one that was
 * configured in ways that a reload cannot change. This side, the old one:
 *
 *   it starts the new process and hands it its listening sockets and what it knows of its servers;
 *   the new one says that it is ready, once it knows who the primaries are;
 *   this one stops accepting, says how many connections it holds, and only then the new one accepts
 *     (meanwhile clients wait in the kernel's queue, which both share);
 *   this one probes and fences on until its last session has ended, and tells the new one each time
 *     that it holds fewer connections: what it does not hold is the new one's to have.
 *
 * If the new one fails on the way, this one goes on as if nothing had been. Control thread only. */
#ifndef ROUTER_CTL_UPGRADE_H
#define ROUTER_CTL_UPGRADE_H

#include <stdbool.h>

struct control;
struct text;
struct upgrade;

/* What to start, borrowed: a path and the arguments (NULL ends them). */
struct upgrade_command {
    const char *path;
    char *const *arguments;
};

/* Begins. 0, or a UV_* code with a line of words in `why`. */
int upgrade_begin(struct control *c, struct text *why);
/* All workers may have acknowledged that they do not accept any more. */
void upgrade_acknowledged(struct control *c);
/* At the end: whatever it was about to do. NULL is fine. */
void upgrade_end(struct control *c);

#endif
