/* TLS over bytes: one client's side of a session, without a socket. Whoever has the connection
 * feeds what arrives, sends what lies in the output, and reads and writes plain text in between.
 *
 * A context holds what all sessions to the servers of a backend share. Both are used on one thread
 * at a time. OpenSSL 3 (SSL_CTX_new(3), BIO_s_mem(3)). */
#ifndef ROUTER_NET_TLS_H
#define ROUTER_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct tls;
struct tls_context;

#define TLS_WHY_MAX 160

struct tls_setup {
    bool verify;
    const char *ca;   /* file of certificates; NULL = the system's */
    const char *name; /* what a certificate must carry, and SNI; NULL = the address */
};

/* 0, or -EINVAL with words in `why`; `setup` is copied. */
int tls_context_new(struct tls_context **out, const struct tls_setup *setup, char why[TLS_WHY_MAX]);
void tls_context_free(struct tls_context *c); /* NULL is fine; sessions may outlive it */

/* A session that has begun its handshake: its output is the client hello. `host` is the server's
 * numeric address, which a certificate must carry where the setup names nobody. NULL: memory. */
struct tls *tls_new(struct tls_context *c, const char *host);
void tls_free(struct tls *t); /* NULL is fine */

/* Takes what the server sent. 0; UV_EOF: it ended the session; UV_EPROTO: no TLS, or not to be
 * trusted: tls_why() says what. */
int tls_feed(struct tls *t, const char *data, size_t len);
bool tls_is_ready(const struct tls *t); /* the handshake is over and the server was verified */
/* Before its first tls_feed(): a certificate that is not accepted does not end the handshake. Once
 * it is ready tls_is_trusted() says whether the server may be told anything; tls_why() why not. */
void tls_tolerate(struct tls *t);
bool tls_is_trusted(const struct tls *t);
/* Plain text that has arrived: how many bytes were put into `out`; 0 = none (left). */
size_t tls_read(struct tls *t, char *out, size_t size);
/* Queues plain text; only when ready. 0 or UV_EPROTO. */
int tls_write(struct tls *t, const char *data, size_t len);
/* What is to be sent now, until the next call; NULL and 0 if nothing is. */
const char *tls_output(struct tls *t, size_t *len);
const char *tls_why(const struct tls *t);

#endif
