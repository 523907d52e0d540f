/* Which certificate is for which host: the DNS names of all of a server's certificates, in order,
 * so that a name is found by a binary search. Owned by a context. */
#ifndef ROUTER_NET_TLS_NAMES_H
#define ROUTER_NET_TLS_NAMES_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#define TLS_HOST_MAX 256 /* a name of DNS has at most 253 bytes */

struct tls_named {
    char *name;   /* owned: lower case; "*.example.com" stands for one label more */
    size_t index; /* of the certificate */
};

struct tls_names {
    struct tls_named *items; /* owned: sorted by name, then by index */
    size_t count;
};

/* The DNS names of its subjectAltName; only where it has none, its CN (RFC 6125, section 6.4.4). */
void tls_names_add(struct tls_names *n, X509 *certificate, size_t index);
void tls_names_sort(struct tls_names *n); /* after the last one was added */
/* Whether both stand for the same hosts. Both are sorted. */
bool tls_names_equal(const struct tls_names *a, const struct tls_names *b);
/* The first certificate that is for `host`: a whole name before a wildcard. False: none is. */
bool tls_names_find(const struct tls_names *n, const char *host, size_t *index);
/* "a.example.com *.b.example.com", as many of them as fit. */
void tls_names_print(const struct tls_names *n, char *out, size_t size);
void tls_names_release(struct tls_names *n);

#endif
