/* How many sessions this machine lets a configuration have: descriptors and memory. */
#ifndef ROUTER_CAPACITY_H
#define ROUTER_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct control_size;

/* What `config` may use, with so many workers, each of which listens on so many sockets. 0, or
 * UV_EMFILE with one line in `why`. */
int capacity_find(const struct config *config, unsigned workers, size_t sockets,
                  struct control_size *out, char *why, size_t why_size);

#endif
