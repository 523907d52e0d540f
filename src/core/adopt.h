/* A worker takes over another configuration: everything that it holds and that points into the old
 * one points into the new one afterwards. Sessions notice nothing. */
#ifndef ROUTER_CORE_ADOPT_H
#define ROUTER_CORE_ADOPT_H

struct change;
struct worker;

/* Before the topology that came with it is acted upon. Frees `change`. */
void worker_adopt(struct worker *w, struct change *change);

#endif
