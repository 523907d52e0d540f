/* What an error of a MySQL or MariaDB server means for a probe, for the inside of proto/. Every
 * text is plain ASCII and tells no secret. */
#ifndef ROUTER_PROTO_MYSQL_WORDS_H
#define ROUTER_PROTO_MYSQL_WORDS_H

#include "proto/mysql_packet.h"
#include "proto/probe_end.h"

enum {
    MYSQL_ER_PARSE = 1064,        /* a statement that it does not know */
    MYSQL_ER_TABLE_DENIED = 1142, /* SELECT on a table */
    MYSQL_ER_NOT_PREPARED = 1047, /* Galera: is not ready; elsewhere: unknown command */
    MYSQL_ER_NEEDS_PRIVILEGE = 1227,
};

/* Whose words they are: what must never be told. NULL = none. */
struct mysql_account {
    const char *user;
    const char *password;
};

/* As probe_quote(), for text that may hold anything. */
const char *mysql_quote(char out[PROBE_QUOTE_MAX], struct mysql_text text, const char *secret);

/* In place of the greeting, or of the login's OK. Always PROBE_STEP_FAIL. */
enum probe_step mysql_login_refused(struct observation *o, const struct mysql_error *e,
                                    const struct mysql_account *who);

/* To a question; `statement` is its beginning, as a grant would name it, and `grant` what it needs
 * ("SELECT ON performance_schema.*"). Always PROBE_STEP_FAIL. */
enum probe_step mysql_question_refused(struct observation *o, const struct mysql_error *e,
                                       const struct mysql_account *who, const char *statement,
                                       const char *grant);

#endif
