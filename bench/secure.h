/* TLS by OpenSSL's own means on a non-blocking socket, for the load (the client) and for the floor
 * (the server): what a program has that does nothing but call the library. Contexts and sessions
 * are plain OpenSSL objects; who made one frees it.
 *
 * The client decides the cipher, the group and the signature, so that all proxies do the same work:
 * AES-128-GCM, X25519 or P-256, ECDSA with P-256 or RSA-PSS. Whatever else comes about is an error.
 */
#ifndef BENCH_SECURE_H
#define BENCH_SECURE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct secure_asked {
    int version; /* TLS1_2_VERSION or TLS1_3_VERSION */
    bool rsa;
    bool nist; /* P-256 for the key exchange, instead of X25519 */
};

/* All of these end the program with words on standard error when OpenSSL refuses. */

SSL_CTX *secure_client(const struct secure_asked *asked);
/* `pem`: a file with the certificates and the key. */
SSL_CTX *secure_server(const char *pem);

/* A session on `fd`, which becomes non-blocking. `resume`: lent, may be NULL. `owner` gets each
 * ticket through `on_ticket`, and the session's reference with it. */
SSL *secure_connect(SSL_CTX *context, int fd, SSL_SESSION *resume, void *owner);
void secure_on_ticket(SSL_CTX *context, void (*on_ticket)(void *owner, SSL_SESSION *ticket));
SSL *secure_accept(SSL_CTX *context, int fd);

/* 0: done; else what to wait for, EPOLLIN or EPOLLOUT; UINT32_MAX: the peer failed. */
uint32_t secure_handshake(SSL *s);
/* Ends the program unless what was agreed on is what was asked for. */
void secure_verify(SSL *s, const struct secure_asked *asked, bool resumed);

/* Like recv() and send(): -1 with EAGAIN where they would block. What was refused so must be
 * offered again, byte by byte; it may have moved and grown. */
ssize_t secure_recv(SSL *s, char *to, size_t size);
ssize_t secure_send(SSL *s, const char *data, size_t len);

#endif
