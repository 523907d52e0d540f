/* A client proves itself to the server through us: the packets that follow a login or a
 * COM_CHANGE_USER which named no password (mysql_handshake.h), passed on in both directions with
 * sequence numbers of their own on each side, until the server says OK or ERR. We know no password,
 * and keep none; any plugin passes, because we need not understand it.
 *
 * Two plugins tell the password itself at times, encrypted or not depending on the connection
 * (caching_sha2_password, sha256_password). Where one leg is secure (TLS or a unix socket) and the
 * other is not, we do that step ourselves:
 *   client secure, server not   the client tells it in the clear: we ask the server for its key and
 *                               encrypt it;
 *   server secure, client not   the client asks for a key: we show one of ours, decrypt, and tell
 * the server in the clear. (MySQL internals manual, "Caching_sha2_password information",
 * "sha256_password".)
 *
 * A server that says OK without a question is refused: accounts of unix_socket and auth_socket are
 * let in for whose connection it is, and it is ours. */
#ifndef ROUTER_PROTO_MYSQL_PROVE_H
#define ROUTER_PROTO_MYSQL_PROVE_H

#include "proto/mysql_packet.h"

#define MYSQL_PROVE_PACKET_MAX 65536 /* bytes of a packet's payload; longer ones are refused */
#define MYSQL_PROVE_ROUNDS     32    /* packets of the server; then it is refused */
#define MYSQL_PROVE_SECRET_MAX 512   /* bytes of a password that we pass on ourselves */

struct mysql_key;

/* How a side is connected. A unix socket is secure to all but sha256_password. */
enum mysql_leg {
    MYSQL_LEG_OPEN = 0,
    MYSQL_LEG_TLS = 1,
    MYSQL_LEG_SOCKET = 2,
};

enum mysql_prove_step {
    MYSQL_PROVE_SERVER, /* waits for the server's next packet */
    MYSQL_PROVE_CLIENT, /* waits for the client's; the server may still say ERR, and go on with a
                         * plugin that we do not know: its packets are taken here too */
    MYSQL_PROVE_OK,     /* the server's OK was written for the client */
    MYSQL_PROVE_DENIED, /* its ERR was */
    MYSQL_PROVE_BAD,    /* `why`; nothing was written */
};

/* Plain data, without pointers to anything owned. */
struct mysql_prove {
    const struct mysql_key *key; /* borrowed; NULL = we have none to show */
    enum mysql_leg client_leg;
    enum mysql_leg server_leg;
    unsigned char client_sequence; /* of the next packet on that side, whoever sends it */
    unsigned char server_sequence;
    unsigned char nonce[MYSQL_NONCE];
    uint8_t plugin;  /* whose turn it is, see mysql_prove.c */
    uint8_t expects; /* what the next packet is, see there */
    uint8_t rounds;
    size_t secret_len; /* a password that waits for the server's key; wiped as soon as it left */
    unsigned char secret[MYSQL_PROVE_SECRET_MAX];
};

/* The login (or COM_CHANGE_USER) has been sent. Each sequence number is that of the next packet on
 * that side. */
void mysql_prove_begin(struct mysql_prove *p, unsigned char client_sequence,
                       unsigned char server_sequence, enum mysql_leg client_leg,
                       enum mysql_leg server_leg, const struct mysql_key *key);
/* One packet that came. What is to be sent to either side is written, as whole packets, to the
 * writers, of which each has room for the payload and MYSQL_KEY_MAX bytes more. With
 * MYSQL_PROVE_BAD `why` says in plain words what was wrong, and with whom; the other steps leave it
 * alone. What was read and what is written may be a password: the caller wipes both. */
enum mysql_prove_step mysql_prove_server(struct mysql_prove *p, unsigned char sequence,
                                         const void *payload, size_t len,
                                         struct mysql_writer *client, struct mysql_writer *server,
                                         const char **why);
enum mysql_prove_step mysql_prove_client(struct mysql_prove *p, unsigned char sequence,
                                         const void *payload, size_t len,
                                         struct mysql_writer *client, struct mysql_writer *server,
                                         const char **why);
/* The client has gone, or was refused: answers the server in its place, wrongly, so that its login
 * comes to an end that is not held against our address. Takes the server's packets in place of
 * mysql_prove_server(); first of all, at once, with payload = NULL, for the answer that the client
 * may owe. OK (an account without a password), DENIED or BAD end it, else it is SERVER. */
enum mysql_prove_step mysql_prove_abandoned(struct mysql_prove *p, unsigned char sequence,
                                            const void *payload, size_t len,
                                            struct mysql_writer *server);
void mysql_prove_forget(struct mysql_prove *p); /* wipes */

#endif
