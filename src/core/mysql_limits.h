/* Accounts that a server lets in only so many times at once (max_user_connections, of the account
 * or of all). An idle connection of a pool counts there for whom it was logged in as last, and
 * MySQL counts even the one that is about to become the same account again. So those of an account
 * that may have no more than the pool may keep are closed when their client leaves, and it is given
 * none that is idle: an end and a beginning meet at the server as they do without a pool.
 *
 * Whether it may is asked on the connection that was left, once in a while for each account, before
 * anything resets what the login has set: MariaDB's COM_RESET_CONNECTION brings the number back
 * that is for all. A limit that is set meanwhile is known when the server first refuses somebody.
 */
#ifndef ROUTER_CORE_MYSQL_LIMITS_H
#define ROUTER_CORE_MYSQL_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mysql_inbox;
struct mysql_limits; /* what one worker knows of one server's accounts */
struct mysql_link;
struct session;
struct worker;

#define MYSQL_LIMITS_MS 60000 /* what was said once is believed for so long */

/* A client has left a connection that may be kept, as far as it is concerned: it goes to the pool
 * (mysql_pool_take), or is closed, or its server is asked first (MYSQL_LINK_ASK). */
void mysql_limits_take(struct mysql_link *l);
/* It is known to be of such an account, which can do without it: it is not to be idle. */
bool mysql_limits_forbids(const struct mysql_link *l);
void mysql_limits_answered(struct mysql_link *l); /* a packet, in MYSQL_LINK_ASK */
/* The server has refused this client's login by this packet. True: for being there too often, which
 * only those hear who are who they say. */
bool mysql_limits_refused(struct session *s, const struct mysql_link *l,
                          const struct mysql_inbox *error);
/* It may be such an account: it is known to be one, or just being asked for. */
bool mysql_limits_has(const struct session *s, size_t server_id);
/* Another worker was told so of an account: nothing of it is kept here any more. */
void mysql_limits_told(struct worker *w, size_t server_id, uint64_t account);
/* The last session of an account of transaction mode has left it. */
void mysql_limits_left(struct worker *w, size_t server_id, uint64_t account);

#endif
