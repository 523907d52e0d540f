/* TLS below a conn (conn_secure() in net/conn.h). A context is what all sessions of a frontend (as
 * the server) or to a backend (as the client) have in common: made once from files, immutable from
 * then on, shared by all threads by a reference count. Whoever made it and every session hold one
 * reference each, so running sessions keep theirs when files are read anew. A struct tls is one
 * session; it belongs to one thread. OpenSSL 3. */
#ifndef ROUTER_NET_TLS_H
#define ROUTER_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "net/tls_desk.h"

struct tls;
struct tls_context;
struct tls_tickets; /* net/tls_tickets.h */

#define TLS_NAMES_MAX 256

/* Contexts ---------------------------------------------------------------------------------- */

/* All strings are borrowed until the return. */
struct tls_server_setup {
    /* PEM: the certificate, then those between it and the authority. keys[i] NULL: the key is in
     * certs[i]. At least one. */
    const char *const *certs;
    const char *const *keys;
    size_t count;
    const char *client_ca; /* PEM: who must have signed a client's certificate; NULL = none asked */
    int min_version;       /* TLS1_2_VERSION or TLS1_3_VERSION */
    const char *const *alpn; /* what the frontend speaks, its favourite first */
    size_t alpn_count;       /* 0: clients may say what they want */
};

struct tls_client_setup {
    bool verify;
    const char *ca;   /* PEM; NULL = the system's. Read only with `verify` */
    const char *name; /* what a certificate must carry, and SNI; NULL = the address, and no SNI */
    const char *cert; /* PEM chain, shown to servers that ask; NULL = none */
    const char *key;  /* NULL = in `cert` */
};

/* 0 and one reference, or UV_EINVAL with words in `why` that name the file and the cause. Never
 * asks anybody for a passphrase. */
int tls_server_context_new(struct tls_context **out, const struct tls_server_setup *setup,
                           char why[TLS_WHY_MAX]);
int tls_client_context_new(struct tls_context **out, const struct tls_client_setup *setup,
                           char why[TLS_WHY_MAX]);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* NULL is fine */

/* What stats say about a certificate that was loaded. */
struct tls_certificate {
    const char *file;
    char names[TLS_NAMES_MAX]; /* whom it is for, "a.example.com *.b.example.com ..." */
    /* When the first of the chain in the file ends, and the last of them begins. */
    time_t not_before;
    time_t not_after;
    char problem[TLS_WHY_MAX]; /* what is wrong with it but for the time; "" = nothing */
};

size_t tls_context_count(const struct tls_context *c); /* a client's: 0 or 1 */
const struct tls_certificate *tls_context_certificate(const struct tls_context *c, size_t i);
/* Whether a server's certificate is for this host. */
bool tls_context_covers(const struct tls_context *c, const char *name);

/* Sessions ---------------------------------------------------------------------------------- */

/* A worker's place for what resumes a session to one server: zeroed memory at first, and it
 * outlives the sessions that were begun with it. */
struct tls_resume {
    void *session;    /* owned: SSL_SESSION; NULL = none yet */
    uint64_t context; /* which context it was made in; in another one it is of no use */
};

void tls_resume_release(struct tls_resume *r); /* may be used again */

/* One that will be given to conn_secure(), or to tls_free(). NULL: memory, or for a client also an
 * empty `host` (the server's name or numeric address: what its certificate must carry where the
 * setup names nobody). `tickets` is the
 * worker's, outlives the session; NULL = no tickets. `slot` may be NULL. */
struct tls *tls_accept(struct tls_context *c, struct tls_tickets *tickets);
struct tls *tls_connect(struct tls_context *c, const char *host, struct tls_resume *slot);
void tls_free(struct tls *t); /* NULL is fine; conn_secure() takes it over */

/* Before conn_secure(): a certificate that is not accepted does not end the handshake. Once it is
 * over tls_is_trusted() says whether the server may be told anything; conn_why() why not. */
void tls_tolerate(struct tls *t);
bool tls_is_trusted(const struct tls *t);
bool tls_is_resumed(const struct tls *t);

#endif
