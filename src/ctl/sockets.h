/* The sockets on which the router listens for clients: of each address one for each worker. They
 * are bound at the start, and when a configuration that follows names new addresses; a worker takes
 * over its own. Here is known which there are, so that an address which stays keeps its sockets
 * (closing one resets what the kernel has queued there). Control thread only. */
#ifndef ROUTER_CTL_SOCKETS_H
#define ROUTER_CTL_SOCKETS_H

#include <stddef.h>

#include "model/config.h"
#include "net/listener.h"

#define SOCKETS_WHY_MAX 512

struct bound {
    unsigned bind; /* its number, never used again */
    struct address at;
    size_t frontend;
    int *fds; /* owned array: one for each worker; ~fd = the worker has taken it over */
    struct listener_path path;
};

struct sockets {
    struct bound *items; /* owned */
    size_t count;
    unsigned workers;
    unsigned next_bind;
};

/* How many addresses a configuration listens on. */
size_t sockets_count(const struct config *c);
/* What `next` listens on: the sockets of `now` where the address is the same, new ones where not.
 * 0; or a UV_* code with one line in `why`, then nothing is open that was not before. `now` may be
 * all zero but for `workers`. */
int sockets_follow(const struct sockets *now, const struct config *next, struct sockets *out,
                   char why[SOCKETS_WHY_MAX]);
/* The same for what another process listens on as well, until it does not any more: what `config`
 * does not listen on stays in `theirs`; and all of it, if it fails. */
int sockets_inherit(struct sockets *theirs, const struct config *config, struct sockets *out,
                    char why[SOCKETS_WHY_MAX]);
/* `next` takes the place of `now`: socket files that are not listened on any more are removed. */
void sockets_replace(struct sockets *now, struct sockets *next);
/* Gives up what sockets_follow() has made. */
void sockets_abandon(struct sockets *next);
/* The socket for a worker, who takes it over; -1 = it has it already. */
int sockets_take(struct bound *b, unsigned worker);
/* The descriptor for a worker, whoever has it. */
int sockets_number(const struct bound *b, unsigned worker);
/* The socket files belong to another process now. */
void sockets_disown(struct sockets *s);
/* Removes the socket files, and closes what no worker has taken over. */
void sockets_release(struct sockets *s);

#endif
