/* The inside of a context, for the files of TLS only. */
#ifndef ROUTER_NET_TLS_CONTEXT_H
#define ROUTER_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "net/tls.h"
#include "net/tls_files.h"
#include "net/tls_names.h"

struct tls_context {
    atomic_uint refs;
    uint64_t id;   /* no other context of this process has it */
    SSL_CTX **ctx; /* owned: a client's only one; a server's, one for each set of names */
    size_t ctx_count;
    struct tls_names names; /* of the server's certificates: an index of ctx */
    struct tls_certificate *certificates;
    size_t count;
    unsigned char *alpn; /* owned: as it is sent, each name behind its length */
    size_t alpn_len;
    char *name; /* a client's: whom it wants to talk to; NULL = who has the address */
    bool verify;
};

/* An empty one with one reference and room for `count` certificates. */
struct tls_context *tls_context_begin(size_t count);
/* An SSL_CTX with what all of ours have; NULL. */
SSL_CTX *tls_context_ctx(const SSL_METHOD *method, int min_version);
int tls_context_trust(SSL_CTX *ctx, const struct stack_st_X509 *authorities);
int tls_context_use(SSL_CTX *ctx, const struct tls_identity *id, const char *path,
                    char why[TLS_WHY_MAX]);
void tls_context_add_facts(struct tls_context *c, const struct tls_identity *id, const char *path,
                           bool server);
/* `what`, and what OpenSSL says. Returns UV_EINVAL. */
int tls_context_explain(char why[TLS_WHY_MAX], const char *what);

#endif
