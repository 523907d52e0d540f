/* A question of ours for one number, on a connection that a client has been using: the command, as
 * that connection has it, and the server's answer, packet by packet. A client may have changed its
 * session so that there is no answer (SQL_SELECT_LIMIT = 0, a password that has expired); then
 * there is no number. */
#ifndef ROUTER_PROTO_MYSQL_NUMBER_H
#define ROUTER_PROTO_MYSQL_NUMBER_H

#include "proto/mysql_packet.h"

struct mysql_number {
    uint32_t capabilities; /* of the connection */
    uint8_t expects;       /* enum, see mysql_number.c */
    uint8_t sequence;      /* of the next packet */
    uint64_t value;
};

enum mysql_number_event {
    MYSQL_NUMBER_MORE, /* another packet of the answer is to come */
    MYSQL_NUMBER_READ, /* that was the last one: `value` */
    MYSQL_NUMBER_NONE, /* it is no such answer: nothing is known, not even where it ends */
};

/* A whole COM_QUERY; `sql` gives one row of one column. */
void mysql_number_ask(struct mysql_number *n, uint32_t capabilities, const char *sql,
                      struct mysql_writer *w);
enum mysql_number_event mysql_number_take(struct mysql_number *n, unsigned char sequence,
                                          const void *payload, size_t len);

#endif
