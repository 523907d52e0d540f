/* "show slow": the slowest commands of pooled clients, of all workers together. Each worker has a
 * list of its own, so all are asked. Control thread only. */
#ifndef ROUTER_CTL_LIST_SLOW_H
#define ROUTER_CTL_LIST_SLOW_H

#include <stdbool.h>
#include <stddef.h>

struct command_call;

/* The answer to this command, which comes later: at most `most` of them. `clear`: they are
 * forgotten instead. */
void list_slow(struct command_call *call, size_t most, bool json, bool clear);

#endif
