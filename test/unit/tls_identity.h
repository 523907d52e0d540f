/* Certificates made as a test needs them, and files of them in a folder that goes with the test. */
#ifndef TEST_TLS_IDENTITY_H
#define TEST_TLS_IDENTITY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY       (24 * 3600L)
#define FILES_MAX 128
#define PATH_SIZE 64

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

/* Whom a certificate is for, and from when to when, in seconds from now. */
struct wanted {
    const char
        *names; /* as subjectAltName has them, "DNS:a.example.com,IP:10.0.0.1"; NULL = none */
    long from;
    long to;
    bool rsa;
    bool authority;
    const char *usage; /* extendedKeyUsage; NULL = all */
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

static inline void add_extensions(X509 *cert, X509 *issuer, const struct wanted *w)
{
    if (w->authority) {
        add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE");
    }
    if (w->names != NULL) {
        add_extension(cert, issuer, NID_subject_alt_name, w->names);
    }
    if (w->usage != NULL) {
        add_extension(cert, issuer, NID_ext_key_usage, w->usage);
    }
}

/* Without an issuer it signs itself. */
static inline struct identity identity_new(const char *subject, const struct wanted *w,
                                           const struct identity *issuer)
{
    static long serial = 1;
    struct identity id = {
        .key = w->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"),
        .cert = X509_new(),
    };
    const struct identity *by = issuer != NULL ? issuer : &id;
    assert_true(id.key != NULL && id.cert != NULL);
    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), w->from != 0 ? w->from : -DAY);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), w->to != 0 ? w->to : DAY);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(by->cert));
    add_extensions(id.cert, by->cert, w);
    assert_true(X509_sign(id.cert, by->key, EVP_sha256()) > 0);
    return id;
}

static inline struct identity authority_new(const char *subject, const struct identity *issuer)
{
    return identity_new(subject, &(struct wanted){.authority = true}, issuer);
}

static inline void identity_free(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
    *id = (struct identity){0};
}

/* Files ------------------------------------------------------------------------------------- */

static char files_folder[] = "/tmp/router-test-XXXXXX";
static char files[FILES_MAX][PATH_SIZE];
static size_t files_count;

static inline void files_begin(void)
{
    assert_non_null(mkdtemp(files_folder));
}

static inline void files_end(void)
{
    for (size_t i = 0; i < files_count; i++) {
        unlink(files[i]);
    }
    files_count = 0;
    rmdir(files_folder);
}

/* A new file's path and the file. */
static inline FILE *file_new(const char **path)
{
    assert_true(files_count < FILES_MAX);
    char *out = files[files_count];
    snprintf(out, PATH_SIZE, "%s/%zu.pem", files_folder, files_count);
    files_count++;
    FILE *file = fopen(out, "w");
    assert_non_null(file);
    *path = out;
    return file;
}

static inline const char *text_file(const char *text)
{
    const char *path;
    FILE *file = file_new(&path);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* The certificates (up to the first NULL), then the key. NULL: none. */
static inline const char *chain_file(const struct identity *const *certs, EVP_PKEY *key)
{
    const char *path;
    FILE *file = file_new(&path);
    for (; certs != NULL && *certs != NULL; certs++) {
        assert_int_equal(PEM_write_X509(file, (*certs)->cert), 1);
    }
    if (key != NULL) {
        assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    }
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *cert_file(const struct identity *id)
{
    return chain_file((const struct identity *[]){id, NULL}, NULL);
}

/* What an administrator calls a PEM: both in one. */
static inline const char *both_file(const struct identity *id)
{
    return chain_file((const struct identity *[]){id, NULL}, id->key);
}

#endif
