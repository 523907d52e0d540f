/* By what ids clients of MySQL's pools know their connections, and what those are called by their
 * servers: of all workers, because who asks to kill one comes on a connection of his own and so to
 * any of them.
 *
 * Ids are drawn at random, far above those that servers give: an order that comes to the wrong
 * process (another router, or the one before an upgrade) shall find nobody there.
 *
 * An entry is the session's, from its greeting to its end. Where it is changes without a lock; who
 * is aimed at is marked in the same step, so that the connection is not lent to somebody else while
 * the order to kill is under way: such an order hits whom it names, or nobody. */
#ifndef ROUTER_MODEL_THREAD_TABLE_H
#define ROUTER_MODEL_THREAD_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct thread_table;

/* Starts zeroed. */
struct thread_entry {
    struct list node;
    bool listed; /* its owner's */
    uint32_t id;
    _Atomic uint64_t at; /* see thread_table.c; 0 = it has no connection */
};

/* Never NULL: made at the start. */
struct thread_table *thread_table_new(void);
void thread_table_free(struct thread_table *t); /* must be empty; NULL is fine */

/* Gives it an id that no other has. */
void thread_table_add(struct thread_table *t, struct thread_entry *e);
void thread_table_remove(struct thread_table *t, struct thread_entry *e); /* if it is there */

/* By its session's own thread: it has this connection to server_config.id now. */
void thread_entry_set(struct thread_entry *e, size_t server, uint32_t thread);
/* It has none any more. True: somebody has aimed at it, so nobody else may get that connection. */
bool thread_entry_clear(struct thread_entry *e);
/* The same, unless somebody has: then it keeps it. False: it does. */
bool thread_entry_leave(struct thread_entry *e);

/* Any thread. The one session that is known by this id has a connection to this server: what that
 * is called there. False: there is none. */
bool thread_table_aim(struct thread_table *t, uint32_t id, size_t server, uint32_t *thread);

#endif
