/* The sockets on which a worker listens, each for one frontend. They belong to the worker's loop; a
 * change of the configuration opens some, closes others, and gives others to another frontend. */
#ifndef ROUTER_CORE_LISTENERS_H
#define ROUTER_CORE_LISTENERS_H

#include <stddef.h>

struct change_listener;
struct deadline;
struct worker;

/* Takes over a bound, listening socket for a frontend. `bind` is the number of its address. 0 or a
 * UV_* code; the socket is closed then. */
int listeners_add(struct worker *w, unsigned bind, size_t frontend, int fd);
/* Listens on these from now on and on no other; takes over the sockets (fd becomes -1). */
void listeners_change(struct worker *w, struct change_listener *wanted, size_t count);
void listeners_close(struct worker *w);
void listeners_on_again(struct deadline *d); /* worker.accept_again */

#endif
