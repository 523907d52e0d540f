/* What mysql_reply.c, which sees packets begin and end, has of mysql_reply_take.c, which knows what
 * they mean. */
#ifndef ROUTER_PROTO_MYSQL_REPLY_INTERNAL_H
#define ROUTER_PROTO_MYSQL_REPLY_INTERNAL_H

#include "proto/mysql_packet.h"
#include "proto/mysql_reply.h"

/* What comes next. */
enum mysql_expects {
    EXPECTS_NOTHING,
    EXPECTS_RESULT,      /* of a statement: an OK, a request for a file, a number of columns */
    EXPECTS_COLUMNS,     /* their definitions */
    EXPECTS_COLUMNS_EOF, /* the EOF behind them */
    EXPECTS_ROWS,        /* up to an EOF, or an OK in its place */
    EXPECTS_PREPARED,    /* the OK of COM_STMT_PREPARE */
    EXPECTS_PARAMS,
    EXPECTS_PARAMS_EOF,
    EXPECTS_PREPARED_COLUMNS,
    EXPECTS_PREPARED_EOF,
    EXPECTS_OK,    /* or an EOF, and no more */
    EXPECTS_TEXT,  /* one packet, whatever it says */
    EXPECTS_LOGIN, /* packets of the server's part in a login, up to an OK */
    EXPECTS_ANYTHING,
};

/* What a reply to this begins with. */
enum mysql_expects mysql_reply_first(uint8_t code);
/* A packet that is kept is over; of one that is longer than MYSQL_REPLY_KEPT only its beginning is
 * given. */
enum mysql_reply_event mysql_reply_take(struct mysql_reply *r, const unsigned char *p, size_t len);
/* So many that are not kept are over. */
enum mysql_reply_event mysql_reply_go_past(struct mysql_reply *r, uint64_t packets);
/* Definitions that are still to come, where they are counted; NULL elsewhere. */
uint64_t *mysql_reply_definitions(struct mysql_reply *r);

static inline bool mysql_reply_has(const struct mysql_reply *r, uint32_t capability)
{
    return (r->capabilities & capability) != 0;
}

#endif
