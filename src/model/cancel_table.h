/* Which server does what may be asked to be cancelled: the names that servers gave to sessions
 * (PostgreSQL's BackendKeyData), of all workers, because the request comes on a connection of its
 * own and so to any of them. Any thread may call add, remove and find.
 *
 * An entry is the session's, from the end of its login to its own end. The names are secrets: who
 * knows one may cancel. */
#ifndef ROUTER_MODEL_CANCEL_TABLE_H
#define ROUTER_MODEL_CANCEL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct cancel_table;
struct cancel_entry;

/* For at most `capacity` entries. Never NULL: made at the start. */
struct cancel_table *cancel_table_new(size_t capacity);
void cancel_table_free(struct cancel_table *t); /* must be empty; NULL is fine */

/* `server` of `backend` calls a session so. NULL if the table is full or out of memory: the session
 * is then like one whose name was not seen. */
struct cancel_entry *cancel_table_add(struct cancel_table *t, size_t backend, size_t server,
                                      const void *key, size_t len);
void cancel_table_remove(struct cancel_table *t, struct cancel_entry *entry); /* frees it */
/* Which server of this backend calls a session so. */
bool cancel_table_find(struct cancel_table *t, size_t backend, const void *key, size_t len,
                       size_t *server);

#endif
