/* What a MySQL client says to get in: the answer to a greeting, and the proofs of
 * mysql_native_password and of caching_sha2_password's fast way. No I/O. */
#ifndef BENCH_MYSQL_LOGIN_H
#define BENCH_MYSQL_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NONCE = 20, PROOF_MAX = 32, LOGIN_MAX = 256, TLS_REQUEST = 32, HEADER = 4 };

struct account {
    const char *user; /* borrowed: an argument of the program */
    const char *database;
    uint8_t native[2][20]; /* the password hashed once, and that again */
    uint8_t sha2[2][32];
};

struct greeting {
    uint32_t capabilities;
    uint8_t nonce[NONCE];
    const char *plugin; /* within the packet */
};

void account_init(struct account *a, const char *user, const char *password, const char *database);

/* Whether the packet is a greeting that we can answer. */
bool greeting_parse(struct greeting *g, const char *packet, size_t len, bool tls);

/* The payload of HandshakeResponse41; its first TLS_REQUEST bytes are the request for TLS.
 * Returns its length, 0 for a plugin that is not ours. */
size_t login_make(char to[LOGIN_MAX], const struct account *a, const struct greeting *g, bool tls);

/* Returns the length of the proof, 0 for a plugin that is not ours. */
size_t proof_make(uint8_t to[PROOF_MAX], const struct account *a, const char *plugin,
                  const uint8_t nonce[NONCE]);

#endif
