/* What a session has changed since its login, as the server's session trackers tell it, so that
 * another connection of the same account can be brought into the same state: the default database,
 * the variables that were set, LAST_INSERT_ID(). (MySQL internals manual, "Session State
 * Information"; what follows was measured on MariaDB 10.11 and MySQL 9.7, test_mysql_trackers.py.)
 *
 * The life of one: mysql_state_begin() at a login; mysql_state_track() is sent and its reply given
 * to mysql_state_reply(), as every later reply is; then `why` and `doubts` say whether the session
 * can go on elsewhere. Doubts are what the trackers leave open: the reply to mysql_state_ask()
 * settles them, and that to mysql_state_look() the one about results. What the trackers tell but
 * nobody can give again - user variables, temporary tables, variables that are no plain settings -
 * is a reason `why` not.
 *
 * What trackers never tell must be seen in the text (mysql_statement.h):
 *  - both: GET_LOCK(), HANDLER, FLUSH TABLES WITH READ LOCK, LOCK INSTANCE, BACKUP STAGE, a user
 *    variable that SELECT sets, a temporary table that is made by CREATE ... SELECT, what a
 *    statement sets beside a variable that is told (SET time_zone = ..., @x = 1);
 *  - MySQL: SET ROLE, SET RESOURCE GROUP;
 *  - MariaDB: SET @@x = 1, without SESSION; and SET STATEMENT x = 1 FOR ... is told as if it
 *    lasted. */
#ifndef ROUTER_PROTO_MYSQL_STATE_H
#define ROUTER_PROTO_MYSQL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mysql_packet.h"
#include "proto/mysql_reply.h"

#define MYSQL_STATE_VARIABLES 64   /* more of them cannot be given again */
#define MYSQL_STATE_BYTES     8192 /* names and values of all */
#define MYSQL_STATE_DATABASE  256  /* bytes of a database's name: 64 characters */

/* Why a session cannot go on elsewhere. The first ones last until the session is reset, the others
 * are set and cleared as the server tells. */
enum mysql_state_why {
    MYSQL_WHY_OTHER = 1U << 0,    /* STATE_CHANGE alone: a user variable, a temporary table, a
                                   * prepared statement */
    MYSQL_WHY_VARIABLE = 1U << 1, /* one that is no setting, or has a value that we do not repeat */
    MYSQL_WHY_MANY = 1U << 2,     /* more variables than are kept */
    MYSQL_WHY_TRACKERS = 1U << 3, /* the client has set the trackers otherwise: we see nothing */
    MYSQL_WHY_BAD = 1U << 4,      /* the session state is malformed, cut, or of an unknown type */
    MYSQL_WHY_MEMORY = 1U << 5,   /* there is none to remember it in */
    MYSQL_WHY_LOCKED = 1U << 8,   /* LOCK TABLES */
    MYSQL_WHY_NEXT = 1U << 9,     /* a SET TRANSACTION for the transaction that comes */
};

/* What it has done since may be unknown. */
#define MYSQL_WHY_BLIND (MYSQL_WHY_TRACKERS | MYSQL_WHY_BAD | MYSQL_WHY_MEMORY)

/* What is to be asked before the session goes on elsewhere. */
enum mysql_state_doubt {
    MYSQL_DOUBT_COLLATION = 1U << 0, /* SET NAMES is told without its collation */
    MYSQL_DOUBT_LATE = 1U << 1,      /* an ERR, or rows that end with an EOF, cannot carry news
                                      * (of MariaDB: an EOF whose status says that there are some):
                                      * MySQL tells them with the next OK, MariaDB with the next
                                      * that has news of its own */
    MYSQL_DOUBT_INSERT_ID = 1U << 2, /* LAST_INSERT_ID() may be another: an OK packet also tells ids
                                      * that the client gave, an ERR tells none */
    MYSQL_DOUBT_RESULTS = 1U << 3,   /* the collation that definitions of columns name: no variable
                                      * tells it, and setting character_set_results to what it is
                                      * makes it the charset's own */
};

/* A session's, or a connection's. Starts zeroed; mysql_state_free() releases what it owns. */
struct mysql_state {
    uint64_t hash;  /* of database and variables: what two equal ones have in common */
    uint32_t why;   /* enum mysql_state_why; 0: it can be given again, if nothing is in doubt */
    uint8_t doubts; /* enum mysql_state_doubt */
    uint8_t text;   /* enum mysql_text_mode: how the server reads the session's statements */
    bool tracked;   /* the trackers are on */
    bool bare;      /* a reset forgets the charset of the database, which is still the default */
    uint8_t count;  /* of variables */
    uint16_t login; /* the number of the collation that was asked for, until it is told; 0: none */
    uint16_t used;  /* bytes of `variables` */
    uint16_t size;
    char *variables;    /* owned: each a name, NUL, its value, NUL; sorted by name. That of
                         * character_set_results is a collation */
    char *database;     /* owned; NULL: none */
    uint64_t insert_id; /* LAST_INSERT_ID() */
};

/* As just after a login with this default database (len 0: none) and charset. False: no memory, and
 * `why` says so. Releases what it was before, as the next two do. */
bool mysql_state_begin(struct mysql_state *s, const char *database, size_t len, uint16_t charset);
/* What COM_RESET_CONNECTION leaves: the database, and that it may be another. Not the charset of
 * the login (MySQL), or that of the connection's last one (MariaDB): `charset` is what is set
 * behind it, 0: nothing. */
void mysql_state_reset(struct mysql_state *s, uint16_t charset);
/* `s` becomes as `from`. False: no memory, and `why` says so. */
bool mysql_state_copy(struct mysql_state *s, const struct mysql_state *from);
void mysql_state_free(struct mysql_state *s);

/* What has changed. */
enum mysql_state_change {
    MYSQL_CHANGE_SCHEMA = 1U << 0,
    MYSQL_CHANGE_VARIABLE = 1U << 1,
    MYSQL_CHANGE_WHY = 1U << 2, /* `why` has got or lost a reason */
};
/* A reply to any command but COM_RESET_CONNECTION and COM_CHANGE_USER is over; also to ours, but
 * those that follow. Returns enum mysql_state_change. */
unsigned mysql_state_reply(struct mysql_state *s, const struct mysql_reply *r, bool mariadb);
/* To one of mysql_state_restore(), when `s` is already what it restores. */
void mysql_state_restored(struct mysql_state *s, const struct mysql_reply *r, bool mariadb);
/* To mysql_state_look(), with the charset of its column. */
void mysql_state_looked(struct mysql_state *s, const struct mysql_reply *r);
/* A statement that says this (enum mysql_says) was sent: what its reply will not tell. */
void mysql_state_said(struct mysql_state *s, uint32_t says);
/* The part of mysql_state_reply() that reads session state information, of one or several OK
 * packets. */
unsigned mysql_state_apply(struct mysql_state *s, const void *info, size_t len);

/* Of the connection's charset. NULL: it is not known. */
const char *mysql_state_collation(const struct mysql_state *s);
/* Whether that is what a login with this charset asks for, at a server that knows it. */
bool mysql_collation_is(const char *name, unsigned charset);
/* Whether a session in the state `b` is served rightly by a connection in the state `a`, as it is.
 */
bool mysql_state_same(const struct mysql_state *a, const struct mysql_state *b);

/* Commands for a connection with these capabilities, whole packets, each answered by one OK; they
 * may be sent at once. An ERR: the connection's state is not known any more. ------------------ */

#define MYSQL_STATE_COMMANDS     2                              /* at most */
#define MYSQL_STATE_COMMANDS_MAX (3 * MYSQL_STATE_BYTES + 4096) /* bytes, at most */

/* After a login: switches the trackers on and has the server tell what it began with. Before that
 * it sets the collation of all that a login sets, NULL: nothing. */
void mysql_state_track(struct mysql_writer *w, uint32_t capabilities, const char *collation);
/* Settles all doubts but that about results. It is a statement: ROW_COUNT() and warnings are gone.
 */
void mysql_state_ask(struct mysql_writer *w, uint32_t capabilities);
/* Settles that one, behind the other. FOUND_ROWS() is gone. */
void mysql_state_look(struct mysql_writer *w, uint32_t capabilities);
/* From the state `from` to the state `to`; the trackers are on afterwards. Returns how many
 * commands were written, 0: none is needed; UV_EINVAL: it cannot be done, because one of them has a
 * reason `why` or must be asked before, or because a default database cannot be taken back. */
int mysql_state_restore(struct mysql_writer *w, const struct mysql_state *from,
                        const struct mysql_state *to, uint32_t capabilities);

#endif
