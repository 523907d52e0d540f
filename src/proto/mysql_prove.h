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
 * "sha256_password".) */
#ifndef ROUTER_PROTO_MYSQL_PROVE_H
#define ROUTER_PROTO_MYSQL_PROVE_H

#include "proto/mysql_packet.h"

#define MYSQL_PROVE_PACKET_MAX 65536 /* bytes of a packet's payload; longer ones are refused */
#define MYSQL_PROVE_ROUNDS     32    /* packets of the server; then it is refused */
#define MYSQL_PROVE_SECRET_MAX 512   /* bytes of a password that we pass on ourselves */

struct mysql_key;

enum mysql_prove_step {
    MYSQL_PROVE_SERVER, /* waits for the server's next packet */
    MYSQL_PROVE_CLIENT, /* waits for the client's */
    MYSQL_PROVE_OK,     /* the server's OK was written for the client */
    MYSQL_PROVE_DENIED, /* its ERR was */
    MYSQL_PROVE_BAD,    /* `why`; nothing was written */
};

/* Plain data, without pointers to anything owned. */
struct mysql_prove {
    const struct mysql_key *key; /* borrowed; NULL = we have none to show */
    bool client_secure;
    bool server_secure;
    unsigned char client_sequence; /* of the next packet on that side, whoever sends it */
    unsigned char server_sequence;
    unsigned char nonce[MYSQL_NONCE];
    uint8_t plugin;  /* whose turn it is: one of those two, or another */
    uint8_t expects; /* enum: what the next packet is, see mysql_prove.c */
    uint8_t rounds;
    size_t secret_len; /* a password that waits for the server's key; wiped as soon as it left */
    unsigned char secret[MYSQL_PROVE_SECRET_MAX];
};

/* The login (or COM_CHANGE_USER) has been sent. Each sequence number is that of the next packet on
 * that side. */
void mysql_prove_begin(struct mysql_prove *p, unsigned char client_sequence,
                       unsigned char server_sequence, bool client_secure, bool server_secure,
                       const struct mysql_key *key);
/* One packet that came. What is to be sent to either side is written, as whole packets, to the
 * writers, of which each has room for the payload and MYSQL_KEY_MAX bytes more. With
 * MYSQL_PROVE_BAD `why` says in plain words what was wrong, and with whom. */
enum mysql_prove_step mysql_prove_server(struct mysql_prove *p, unsigned char sequence,
                                         const void *payload, size_t len,
                                         struct mysql_writer *client, struct mysql_writer *server,
                                         const char **why);
enum mysql_prove_step mysql_prove_client(struct mysql_prove *p, unsigned char sequence,
                                         const void *payload, size_t len,
                                         struct mysql_writer *client, struct mysql_writer *server,
                                         const char **why);
/* The client has gone: answers the server in its place so that its login comes to an end that is
 * not held against our address. Takes the server's packets in place of mysql_prove_server(); also
 * right when the client owes an answer (payload = NULL, at once). OK or DENIED end it. */
enum mysql_prove_step mysql_prove_abandoned(struct mysql_prove *p, unsigned char sequence,
                                            const void *payload, size_t len,
                                            struct mysql_writer *server);
void mysql_prove_forget(struct mysql_prove *p); /* wipes */

#endif
