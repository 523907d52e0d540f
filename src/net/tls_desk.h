/* What a session of TLS needs only while one of its functions runs: part of the loop, lent to one
 * session at a time, so that an idle session holds no buffer of ours. */
#ifndef ROUTER_NET_TLS_DESK_H
#define ROUTER_NET_TLS_DESK_H

#include <stdbool.h>
#include <stddef.h>

struct conn;

#define TLS_WHY_MAX      256
#define TLS_PLAIN_BYTES  49152
/* A handshake's flight, or what one on_data writes at most: three records and their frames. */
#define TLS_GATHER_BYTES (49152 + 512)

/* What the peer sent and nobody has looked at yet. */
struct tls_bytes {
    const char *data; /* lent */
    size_t len;
};

struct tls_desk {
    struct conn *conn;         /* borrowed: whose turn it is */
    struct tls_bytes *in;      /* lent; NULL = nothing is to be read now */
    size_t out_len;            /* bytes in `out` that are to be sent */
    bool starved;              /* OpenSSL asked for more than there was */
    int status;                /* what the socket said, a UV_* code; 0 = nothing */
    const struct conn *why_of; /* whose failure `why` is about; never followed */
    char why[TLS_WHY_MAX];
    char plain[TLS_PLAIN_BYTES];
    char out[TLS_GATHER_BYTES];
};

#endif
