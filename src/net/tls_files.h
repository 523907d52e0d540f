/* Certificates and keys in files (PEM, RFC 7468), and in words what is wrong with one. */
#ifndef ROUTER_NET_TLS_FILES_H
#define ROUTER_NET_TLS_FILES_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "net/tls_desk.h"

struct tls_identity {
    X509 *leaf;                 /* owned, as all of it */
    struct stack_st_X509 *rest; /* what stands between it and the authority, as the file has it */
    EVP_PKEY *key;
};

/* 0, or UV_EINVAL with words in `why`. `key_path` NULL: the key is in the certificate's file. */
int tls_identity_load(struct tls_identity *id, const char *path, const char *key_path,
                      char why[TLS_WHY_MAX]);
void tls_identity_release(struct tls_identity *id); /* zeroed memory is fine, too */
/* What is wrong with the chain but for the time; "" = nothing. */
void tls_identity_judge(const struct tls_identity *id, bool server, char problem[TLS_WHY_MAX]);

/* The certificates of a file, at least one; NULL with words in `why`. Owned by the caller. */
struct stack_st_X509 *tls_authorities_load(const char *path, char why[TLS_WHY_MAX]);

#endif
