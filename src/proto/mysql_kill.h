/* An order to kill that names a connection by its id: KILL [HARD | SOFT] [CONNECTION | QUERY] id in
 * a COM_QUERY, or COM_PROCESS_KILL. What is said otherwise (an expression, MariaDB's KILL QUERY ID
 * and KILL USER, a comment in front) names none of ours. */
#ifndef ROUTER_PROTO_MYSQL_KILL_H
#define ROUTER_PROTO_MYSQL_KILL_H

#include "proto/mysql_packet.h"

#define MYSQL_KILL_MAX 64 /* bytes of a payload that is looked at */

struct mysql_kill {
    uint32_t id;
    size_t at; /* where it stands in the payload, and how long */
    size_t len;
    bool text;
};

/* Of the whole payload of a command, on a connection with these capabilities. False: it is none. */
bool mysql_kill_read(struct mysql_kill *k, uint32_t capabilities, const void *payload, size_t len);
/* The same command, a whole packet, with another id. */
void mysql_kill_write(struct mysql_writer *w, const struct mysql_kill *k, const void *payload,
                      size_t len, uint32_t id);

#endif
