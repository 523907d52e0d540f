/* The router's own RSA key, shown to MySQL clients that speak in the clear where the server is
 * spoken to under TLS (mysql_prove.h): 2048 bits, made once in a process, never stored. */
#ifndef ROUTER_PROTO_MYSQL_KEY_H
#define ROUTER_PROTO_MYSQL_KEY_H

#include "proto/mysql_packet.h"

struct mysql_key;

/* Made at the first call, which takes some 100 ms; any thread may call it. NULL: there is none to
 * be had. Lives as long as the process. */
const struct mysql_key *mysql_key_shared(void);
/* The public half, PEM. */
struct mysql_text mysql_key_public(const struct mysql_key *key);
/* Decrypts (RSA, OAEP with SHA-1). Returns the length, 0: it was not encrypted with this key. Takes
 * as long for the one as for the other. */
size_t mysql_key_decrypt(const struct mysql_key *key, unsigned char *out, size_t size,
                         const void *data, size_t len);

#endif
