/* Replies for a client that did not ask to hear of its session's state, from a connection whose
 * server tells of it (SESSION_TRACK): an OK packet loses that part, an EOF the flag
 * (Protocol::OK_Packet, EOF_Packet). The stream is cut into packets, where one may be an OK or an
 * EOF: of one that is longer than MYSQL_VEIL_MAX the beginning is enough for that. */
#ifndef ROUTER_PROTO_MYSQL_VEIL_H
#define ROUTER_PROTO_MYSQL_VEIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mysql_packet.h"

#define MYSQL_VEIL_MAX 2048 /* bytes of a payload; what an OK tells people is shorter by far */

/* Starts zeroed: between two packets. */
struct mysql_veil {
    uint32_t left; /* of a long packet: bytes that have not come */
    uint16_t have; /* of a short one, or of a beginning */
    bool drops;    /* those that are left are not for the client: whoever strips says so */
    unsigned char packet[MYSQL_HEADER + MYSQL_VEIL_MAX];
};

/* How many bytes are whole packets that are neither, by their first byte: they need no care. 0 in
 * the midst of one. `rows`: those come next, none of which is an OK, up to their EOF or an ERR. */
size_t mysql_veil_run(const struct mysql_veil *v, const char *data, size_t len, bool rows);
/* Takes bytes and returns how many. *piece: a packet from its beginning, which may be changed and
 * is whole unless `left` is set, or a part of what is left; valid until the next call. NULL: more
 * is needed. */
size_t mysql_veil_take(struct mysql_veil *v, char *data, size_t len, char **piece,
                       size_t *piece_len);
/* An OK or an EOF, whole or its beginning: takes what it tells of the session's state out of it, to
 * its very end. Returns its new length: the old one if nothing was told. */
size_t mysql_veil_strip(char *packet, size_t len);

#endif
