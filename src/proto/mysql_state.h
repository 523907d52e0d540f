/* What a session has changed since its login, as the server's session trackers tell it, so that
 * another connection of the same account can be brought into the same state: the default database
 * and the variables that differ from what a login gives (MySQL internals manual, "Session State
 * Information"; measured, see mysql_state.c and test_mysql_trackers.py).
 *
 * What the trackers tell but nobody can give again - user variables, temporary tables, roles,
 * variables that are not plain settings - keeps the session on its connection: `why`. */
#ifndef ROUTER_PROTO_MYSQL_STATE_H
#define ROUTER_PROTO_MYSQL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mysql_packet.h"

#define MYSQL_STATE_VARIABLES 64   /* more of them cannot be given again */
#define MYSQL_STATE_BYTES     8192 /* names and values of all */
#define MYSQL_STATE_DATABASE  256  /* bytes of a database's name: 64 characters */

/* Why a session cannot go on elsewhere. The first ones last until the session is reset, the others
 * are set and cleared as the server tells. */
enum mysql_state_why {
    MYSQL_WHY_OTHER = 1U << 0, /* STATE_CHANGE alone: a user variable, a temporary table, a
                                * prepared statement */
    MYSQL_WHY_VARIABLE =
        1U << 1,              /* one that is no setting, or with a value that we do not repeat */
    MYSQL_WHY_MANY = 1U << 2, /* more variables than are kept */
    MYSQL_WHY_TRACKERS = 1U << 3, /* the client has set the trackers otherwise: we see nothing */
    MYSQL_WHY_BAD = 1U << 4,      /* the session state is malformed or was cut */
    MYSQL_WHY_MEMORY = 1U << 5,   /* there is none to remember it in */
    MYSQL_WHY_LOCKED = 1U << 8,   /* LOCK TABLES */
    MYSQL_WHY_NEXT = 1U << 9,     /* a SET TRANSACTION for the transaction that comes, or one is
                                   * open */
};

/* A session's, or a connection's. Starts zeroed or by mysql_state_begin(); mysql_state_free()
 * releases what it owns. */
struct mysql_state {
    uint64_t hash;    /* of the rest but `why`: what two equal ones have in common */
    uint32_t why;     /* enum mysql_state_why; 0: it can be given again */
    uint16_t charset; /* of the login */
    uint8_t text;     /* enum mysql_text_mode, as sql_mode and the client's charset have it */
    uint8_t count;    /* of variables */
    uint16_t used;    /* bytes of `variables` */
    uint16_t size;
    char *variables; /* owned: each a name, NUL, its value, NUL; sorted by name */
    char *database;  /* owned; NULL: none */
};

/* As just after a login with this default database (len 0: none) and charset. False: no memory,
 * and `why` says so. */
bool mysql_state_begin(struct mysql_state *s, const char *database, size_t len, uint16_t charset);
/* What COM_RESET_CONNECTION leaves: the database. */
void mysql_state_reset(struct mysql_state *s);
/* `s` becomes as `from`. False: no memory, and `why` says so. */
bool mysql_state_copy(struct mysql_state *s, const struct mysql_state *from);
void mysql_state_free(struct mysql_state *s);

/* The session state information of OK packets, in their order (mysql_reply.state). Returns what has
 * changed, enum mysql_state_change. */
enum mysql_state_change {
    MYSQL_CHANGE_SCHEMA = 1U << 0,
    MYSQL_CHANGE_VARIABLE = 1U << 1,
    MYSQL_CHANGE_WHY = 1U << 2, /* `why` has got or lost a reason */
};
unsigned mysql_state_apply(struct mysql_state *s, const void *info, size_t len);
/* COM_INIT_DB was answered with OK: where no tracker tells. */
void mysql_state_use(struct mysql_state *s, const char *database, size_t len);

/* A connection in the state `a` can serve a session in the state `b` as it is. */
bool mysql_state_same(const struct mysql_state *a, const struct mysql_state *b);

/* Commands for a connection, whole packets, each answered by one OK; they may be sent at once. */
#define MYSQL_STATE_COMMANDS     3                              /* at most */
#define MYSQL_STATE_COMMANDS_MAX (2 * MYSQL_STATE_BYTES + 2048) /* bytes, at most */

/* After a login, and after every reset: switches the trackers on. */
void mysql_state_track(struct mysql_writer *w, bool mariadb);
/* From the state `from` to the state `to`: how many commands were written, 0: none is needed;
 * UV_EINVAL: it cannot be done, because one of them has a reason `why`, they logged in with
 * different charsets, or a database would have to be none. The trackers are on afterwards. */
int mysql_state_restore(struct mysql_writer *w, const struct mysql_state *from,
                        const struct mysql_state *to, bool mariadb);

#endif
