/* What both halves of mysql_state share. */
#ifndef ROUTER_PROTO_MYSQL_STATE_INTERNAL_H
#define ROUTER_PROTO_MYSQL_STATE_INTERNAL_H

#include "proto/mysql_state.h"

/* How a variable is given again. */
enum mysql_variable_kind {
    MYSQL_VARIABLE_NONE, /* not at all */
    MYSQL_VARIABLE_TEXT,
    MYSQL_VARIABLE_NUMBER,
};

/* A name of mysql_variables.def, in any case. */
enum mysql_variable_kind mysql_variable_kind(const char *name, size_t len);
/* A value that can stand in a statement, in quotes where it is text, whatever sql_mode and charset
 * are there: printable ASCII without quotes and backslashes, or a number. */
bool mysql_variable_is_plain(enum mysql_variable_kind kind, const char *value, size_t len);

/* One of a state's variables: texts within it. */
struct mysql_variable {
    const char *name; /* NULL: there are no more */
    const char *value;
    size_t size; /* of both, with their NULs */
};

/* The variable that begins at this offset. */
struct mysql_variable mysql_variable_at(const struct mysql_state *s, size_t at);
struct mysql_variable mysql_variable_find(const struct mysql_state *s, const char *name);
/* False: it does not fit, and `why` says so. */
bool mysql_variable_set(struct mysql_state *s, const char *name, size_t name_len, const char *value,
                        size_t value_len);
void mysql_variable_remove(struct mysql_state *s, const char *name);

/* mysql_collation.c. NULL: one of no charset that clients may speak, or not known here. */
const char *mysql_collation_name(unsigned number);
bool mysql_collation_has_alias(const char *name);

#endif
