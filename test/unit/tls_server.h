/* The other side of TLS in memory: an authority, the certificates it signs, and a server. */
#ifndef TEST_TLS_SERVER_H
#define TEST_TLS_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY (24 * 3600L)

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

/* Whom a certificate is for, and from when to when, in seconds from now. */
struct wanted {
    const char *names; /* as subjectAltName has them: "DNS:db.example.com,IP:10.0.0.1" */
    long from;
    long to;
};

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Without an issuer it signs itself. */
static inline struct identity identity_new(const char *subject, const struct wanted *wanted,
                                           const struct identity *issuer)
{
    static long serial = 1;
    struct identity id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    const struct identity *by = issuer != NULL ? issuer : &id;
    assert_true(id.key != NULL && id.cert != NULL);
    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), wanted != NULL ? wanted->from : -DAY);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), wanted != NULL ? wanted->to : DAY);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(by->cert));
    if (wanted == NULL) {
        add_extension(id.cert, by->cert, NID_basic_constraints, "critical,CA:TRUE");
    } else {
        add_extension(id.cert, by->cert, NID_subject_alt_name, wanted->names);
    }
    assert_true(X509_sign(id.cert, by->key, EVP_sha256()) > 0);
    return id;
}

static inline void identity_free(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

/* A file with the certificate, to be unlinked. */
static inline void identity_save(const struct identity *id, char *path)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_int_equal(PEM_write_X509(file, id->cert), 1);
    fclose(file);
}

/* The server -------------------------------------------------------------------------------- */

struct tls_server {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in;
    BIO *out;
};

static inline struct tls_server tls_server_new(const struct identity *id, int version)
{
    struct tls_server s = {.ctx = SSL_CTX_new(TLS_server_method())};
    SSL_CTX_set_security_level(s.ctx, 0); /* old versions too */
    SSL_CTX_set_min_proto_version(s.ctx, version);
    SSL_CTX_set_max_proto_version(s.ctx, version);
    assert_int_equal(SSL_CTX_use_certificate(s.ctx, id->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(s.ctx, id->key), 1);
    s.ssl = SSL_new(s.ctx);
    s.in = BIO_new(BIO_s_mem());
    s.out = BIO_new(BIO_s_mem());
    SSL_set_bio(s.ssl, s.in, s.out);
    SSL_set_accept_state(s.ssl);
    return s;
}

static inline void tls_server_free(struct tls_server *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->ctx);
}

/* Takes what the client sent and answers; plain text that came is put into `out`. */
static inline size_t tls_server_feed(struct tls_server *s, const char *data, size_t len, char *out,
                                     size_t size)
{
    size_t got = 0;
    size_t n;
    ERR_clear_error();
    assert_true(len == 0 || BIO_write(s->in, data, (int)len) == (int)len);
    if (SSL_do_handshake(s->ssl) == 1) {
        while (got < size && SSL_read_ex(s->ssl, out + got, size - got, &n) == 1) {
            got += n;
        }
    }
    ERR_clear_error();
    return got;
}

/* What it sends next, at most `size`. */
static inline size_t tls_server_output(struct tls_server *s, char *out, size_t size)
{
    int n = BIO_read(s->out, out, (int)size);
    return n > 0 ? (size_t)n : 0;
}

#endif
