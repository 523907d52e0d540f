/* Clients kill each other by the ids that they know: those of our greetings. Such an order is
 * passed on with the id that the server knows, if both have a connection to the same server; else
 * as it is, and the server says that there is nobody. Who may kill whom is the server's business.
 */
#ifndef ROUTER_CORE_MYSQL_KILL_H
#define ROUTER_CORE_MYSQL_KILL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mysql_lease.h"

/* The command that has just begun may be such an order: it is to be seen whole. `data` is where it
 * begins, with all there is of it. */
bool mysql_kill_may_be(const struct session *s, const char *data, size_t len);
/* It is whole, and goes to the server. MYSQL_SKIP: it went already, in other words. */
enum mysql_verdict mysql_kill_pass(struct session *s, const struct mysql_link *l, const char *data);

#endif
