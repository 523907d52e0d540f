/* Counts per client address, for max_sessions_per_ip and session_rate_per_ip: one table for all
 * workers, exact, and of a size that no number of clients can change. Any thread may call
 * enter and leave.
 *
 * An entry is a frontend and a client_key. One that has sessions stays; the others are kept for
 * their rate and make room, the longest unused first, when there is no other. */
#ifndef ROUTER_MODEL_CLIENT_TABLE_H
#define ROUTER_MODEL_CLIENT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct client_table;

enum client_verdict {
    CLIENT_ADMITTED, /* counted: client_table_leave() when the session ends */
    CLIENT_TOO_MANY, /* it has max_sessions already, or the table is full of clients that have */
    CLIENT_TOO_FAST, /* more than `rate` new sessions in a second */
};

/* `capacity` is the number of entries (rounded up to a multiple of 64). They are spread over parts
 * of equal size by a random hash, and the fullest part decides: let it be twice the number of
 * clients that are expected at once. Memory that was never used is not resident. Never NULL: made
 * at the start. */
/* How many addresses to have room for. */
size_t client_table_size(unsigned max_sessions);
struct client_table *client_table_new(size_t capacity);
void client_table_free(struct client_table *t); /* NULL is fine */

/* `max_sessions` and `rate` 0: no such bound. A refused client uses up nothing. `rate` lets a burst
 * of as many through that came after a second of rest. */
enum client_verdict client_table_enter(struct client_table *t, size_t frontend,
                                       const struct client_key *key, unsigned max_sessions,
                                       unsigned rate, uint64_t now_ns);
void client_table_leave(struct client_table *t, size_t frontend, const struct client_key *key);

#endif
