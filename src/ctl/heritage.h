/* What a process takes over from the one whose place it takes (ctl/upgrade.h): its listening
 * sockets, and what it knows of its servers. Received before anything is bound; what nobody wanted
 * is closed. */
#ifndef ROUTER_CTL_HERITAGE_H
#define ROUTER_CTL_HERITAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "ctl/sockets.h"

#define HERITAGE_VARIABLE "ROUTER_UPGRADE" /* of the environment: the socket's number */
#define HERITAGE_WHY_MAX  256

struct control;

struct inherited {
    struct address at;
    bool clients; /* come there; else operators */
    int fd;       /* owned; -1 = taken */
};

struct heritage {
    int channel;             /* owned until somebody takes it: to the other process */
    struct inherited *items; /* owned */
    size_t count;
    int pid_file;      /* owned; -1 = none */
    struct text state; /* lines, for heritage_remember() */
};

/* Whether this process is to take the place of another one. If so, waits for all that it hands
 * over. 0 and *out (NULL: there is none), or a UV_* code with one line in `why`. */
int heritage_receive(struct heritage **out, char why[HERITAGE_WHY_MAX]);
/* A socket for operators at that address; -1 = there is none. NULL is fine. */
int heritage_take(struct heritage *h, const struct address *at);
/* All sockets for clients, as sockets_follow() wants to have them: so many of each address for each
 * bind, for sockets_inherit(). */
void heritage_sockets(struct heritage *h, unsigned workers, struct sockets *out);
/* It is our turn: sockets that nobody wanted are closed, and their files removed. */
void heritage_settle(struct heritage *h);
/* Before the probes begin: who was elected, and whatever that was known by. */
void heritage_remember(const struct heritage *h, struct control *c);
void heritage_free(struct heritage *h); /* NULL is fine */

/* The other side: all that a control thread knows, in lines. */
void heritage_tell(const struct control *c, struct text *out);

#endif
