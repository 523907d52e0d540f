/* The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding. Lives from the
 * server's question to its signature; the caller wipes it. A function returns NULL, or in words
 * what is wrong with the server (or with us). */
#ifndef ROUTER_PROTO_PGSQL_SCRAM_H
#define ROUTER_PROTO_PGSQL_SCRAM_H

#include <stddef.h>

#define SCRAM_KEY         32
#define SCRAM_TEXT_MAX    512    /* of one message */
#define SCRAM_ROUNDS_MAX  100000 /* about 25 ms of the control thread; servers use 4096 */
#define SCRAM_NONCE_BYTES 18

struct scram {
    char first[SCRAM_TEXT_MAX];    /* client-first-message; the part behind "n,," is the bare one */
    char last[2 * SCRAM_TEXT_MAX]; /* client-final-message */
    unsigned char signature[SCRAM_KEY]; /* what the server must answer */
};

/* Writes `first`. PostgreSQL takes the user from the startup and wants `user` empty; `nonce` NULL:
 * a random one. */
const char *scram_begin(struct scram *s, const char *user, const char *nonce);
/* Reads the server-first-message, writes `last`. */
const char *scram_prove(struct scram *s, const char *password, const char *text, size_t len);
/* Reads the server-final-message. */
const char *scram_verify(const struct scram *s, const char *text, size_t len);

#endif
