/* Ends sessions by the operator's word: struct message_kill. A few in each turn of the loop, so
 * that nobody else waits for the end of thousands. */
#ifndef ROUTER_CORE_KILL_H
#define ROUTER_CORE_KILL_H

struct message;

/* worker_inbox.kill */
void kill_sessions(struct message *m, void *worker);

#endif
