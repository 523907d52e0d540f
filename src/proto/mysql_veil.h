/* Replies for a client that did not ask to hear of its session's state, from a connection whose
 * server tells of it (SESSION_TRACK): an OK packet loses that part, an EOF the flag
 * (Protocol::OK_Packet, EOF_Packet). The stream is cut into packets; one that is longer than
 * MYSQL_VEIL_MAX passes as it comes. */
#ifndef ROUTER_PROTO_MYSQL_VEIL_H
#define ROUTER_PROTO_MYSQL_VEIL_H

#include "proto/mysql_packet.h"

#define MYSQL_VEIL_MAX 2048 /* bytes of a payload */

/* Starts zeroed: between two packets. */
struct mysql_veil {
    uint32_t left; /* of a long packet: bytes that have not come */
    uint16_t have; /* of a short one */
    unsigned char packet[MYSQL_HEADER + MYSQL_VEIL_MAX];
};

/* Takes bytes and returns how many. *piece: a whole packet, which may be changed, or a part of a
 * long one; valid until the next call. NULL: more is needed. */
size_t mysql_veil_take(struct mysql_veil *v, char *data, size_t len, char **piece,
                       size_t *piece_len);
/* A whole packet that is an OK or an EOF: takes what it tells of the session's state out of it.
 * Returns its new length. */
size_t mysql_veil_strip(char *packet, size_t len);

#endif
