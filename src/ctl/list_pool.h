/* "show pool": the pools of backends, with each of their connections. What is counted is known
 * here; the connections live on the workers, so those are asked in turn. Control thread only. */
#ifndef ROUTER_CTL_LIST_POOL_H
#define ROUTER_CTL_LIST_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define LINKS_LISTED_MAX 4096 /* of one list; how many more there are is told */

struct command_call;

/* The answer to this command, maybe later. `only`: this backend, or SIZE_MAX for all. */
void list_pool(struct command_call *call, size_t only, bool json);

#endif
