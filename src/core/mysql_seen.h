/* What there is of a worker's pools of MySQL, for people: as core/pool_seen.h, which lists them. */
#ifndef ROUTER_CORE_MYSQL_SEEN_H
#define ROUTER_CORE_MYSQL_SEEN_H

#include "core/mysql_client.h"
#include "core/mysql_link.h"

/* Why a session keeps its connection, in the order of BACKEND_PINS_*. */
#define MYSQL_PIN(reason) (1U << (BACKEND_PINS_##reason - BACKEND_PINS_TRANSACTION))

enum mysql_pin {
    MYSQL_PIN_TRANSACTION = MYSQL_PIN(TRANSACTION),
    MYSQL_PIN_STATE = MYSQL_PIN(STATE),
    MYSQL_PIN_SESSION = MYSQL_PIN(SESSION), /* pool_mode = session */
    MYSQL_PIN_PREPARED = MYSQL_PIN(PREPARED),
    MYSQL_PIN_TEMPORARY = MYSQL_PIN(TEMPORARY),
    MYSQL_PIN_VARIABLE = MYSQL_PIN(VARIABLE), /* a user variable */
    MYSQL_PIN_LOCK = MYSQL_PIN(LOCK),
    MYSQL_PIN_ROUTINE = MYSQL_PIN(ROUTINE),
    MYSQL_PIN_WARNINGS = MYSQL_PIN(WARNINGS),
};

/* Its state has changed, or it is being closed. */
void mysql_link_seen(struct mysql_link *l);
void mysql_link_row(const struct mysql_link *l, struct pool_row *row);

/* A client is there, or has gone. */
void mysql_client_seen_come(const struct session *s);
void mysql_client_seen_gone(struct session *s);
/* It keeps its connection for these reasons from now on, and for no others: counts those that are
 * new. */
void mysql_client_pin(struct mysql_client *c, uint32_t pins);
/* With a command it waits for a connection of its account, or no more. */
void mysql_client_hold(struct mysql_client *c, bool held);
/* It has logged in on this connection. */
void mysql_login_seen(const struct session *s, const struct mysql_link *l, uint64_t began_us);

#endif
