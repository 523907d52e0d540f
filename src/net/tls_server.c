/* A server's context. It has one SSL_CTX for each set of names: certificates for the same names
 * with keys of different kinds, RSA and ECDSA, lie in one, and OpenSSL shows the one that the
 * client can use. They differ in nothing else. Which one it is, is decided when the client has said
 * what name it looks for. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/macros.h"
#include "base/mem.h"
#include "net/tls_context.h"
#include "net/tls_session.h"

/* AEAD with forward secrecy only (RFC 9325, section 4.2). All are good: the client chooses, who
 * knows whether AES is fast for it. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS      "X25519:P-256:P-384"

/* While a client says hello ----------------------------------------------------------------- */

static int on_server_name(SSL *ssl, int *alert, void *context)
{
    (void)alert;
    const struct tls_context *c = context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    size_t index;
    if (name == NULL || !tls_names_find(&c->names, name, &index)) {
        return SSL_TLSEXT_ERR_NOACK; /* the first certificate is as good as any */
    }
    if (index > 0 && SSL_set_SSL_CTX(ssl, c->ctx[index]) == NULL) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301, section 3.2. */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                        const unsigned char *theirs, unsigned theirs_len, void *context)
{
    (void)ssl;
    const struct tls_context *c = context;
    unsigned char *chosen = NULL;
    int rc =
        SSL_select_next_proto(&chosen, out_len, c->alpn, (unsigned)c->alpn_len, theirs, theirs_len);
    *out = chosen;
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int set_protocols(struct tls_context *c, const struct tls_server_setup *setup,
                         char why[TLS_WHY_MAX])
{
    for (size_t i = 0; i < setup->alpn_count; i++) {
        size_t len = strlen(setup->alpn[i]);
        if (len == 0 || len > 255) {
            return tls_context_explain(why, "the name of a protocol has 1 to 255 bytes (ALPN)");
        }
        c->alpn = xrealloc(c->alpn, c->alpn_len + 1 + len);
        c->alpn[c->alpn_len] = (unsigned char)len;
        memcpy(c->alpn + c->alpn_len + 1, setup->alpn[i], len);
        c->alpn_len += 1 + len;
    }
    return 0;
}

/* Making one -------------------------------------------------------------------------------- */

/* What the files have. */
struct material {
    const struct tls_server_setup *setup;
    struct tls_identity *ids;          /* owned, as the next two: setup->count of each */
    struct tls_names *names;           /* the certificates' */
    size_t *ctx;                       /* which SSL_CTX they are in */
    struct stack_st_X509 *authorities; /* owned; NULL = no client is asked */
    unsigned char digest[SHA256_DIGEST_LENGTH];
};

static void material_release(struct material *m)
{
    for (size_t i = 0; i < m->setup->count; i++) {
        tls_identity_release(&m->ids[i]);
        tls_names_release(&m->names[i]);
    }
    sk_X509_pop_free(m->authorities, X509_free);
    free(m->ids);
    free(m->names);
    free(m->ctx);
}

static int material_load(struct material *m, const struct tls_server_setup *setup,
                         char why[TLS_WHY_MAX])
{
    *m = (struct material){
        .setup = setup,
        .ids = xcalloc(setup->count, sizeof *m->ids),
        .names = xcalloc(setup->count, sizeof *m->names),
        .ctx = xcalloc(setup->count, sizeof *m->ctx),
    };
    for (size_t i = 0; i < setup->count; i++) {
        int rc = tls_identity_load(&m->ids[i], setup->certs[i], setup->keys[i], why);
        if (rc != 0) {
            return rc;
        }
        tls_names_add(&m->names[i], m->ids[i].leaf, 0);
        tls_names_sort(&m->names[i]);
    }
    if (setup->client_ca != NULL) {
        m->authorities = tls_authorities_load(setup->client_ca, why);
        return m->authorities != NULL ? 0 : UV_EINVAL;
    }
    return 0;
}

static bool add_digest(EVP_MD_CTX *sum, const X509 *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;
    return X509_digest(certificate, EVP_sha256(), digest, &len) == 1 &&
           EVP_DigestUpdate(sum, digest, len) == 1;
}

/* What we show and whom we trust: a ticket is of no use where that differs (SSL_CTX_set_session_id_
 * context(3)), or a client could get around `client_ca` with one that another frontend gave it. */
static bool material_digest(struct material *m)
{
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    bool ok = sum != NULL && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < m->setup->count; i++) {
        ok = add_digest(sum, m->ids[i].leaf);
    }
    ok = ok && EVP_DigestUpdate(sum, m->authorities != NULL ? "+" : "-", 1) == 1;
    for (int i = 0; ok && i < sk_X509_num(m->authorities); i++) {
        ok = add_digest(sum, sk_X509_value(m->authorities, i));
    }
    ok = ok && EVP_DigestFinal_ex(sum, m->digest, NULL) == 1;
    EVP_MD_CTX_free(sum);
    return ok;
}

static int ask_for_certificate(SSL_CTX *ctx, const struct stack_st_X509 *authorities)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        if (SSL_CTX_add_client_CA(ctx, sk_X509_value(authorities, i)) != 1) {
            return UV_EINVAL;
        }
    }
    return tls_context_trust(ctx, authorities);
}

static SSL_CTX *ctx_new(struct tls_context *c, const struct material *m)
{
    SSL_CTX *ctx = tls_context_ctx(TLS_server_method(), m->setup->min_version);
    if (ctx == NULL || SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) != 1 ||
        SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 ||
        SSL_CTX_set_session_id_context(ctx, m->digest, sizeof m->digest) != 1 ||
        (m->authorities != NULL && ask_for_certificate(ctx, m->authorities) != 0)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TLS_TICKET_EPOCH_S * TLS_TICKETS_KNOWN);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_tickets_on_key);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, c);
    if (c->alpn_len > 0) {
        SSL_CTX_set_alpn_select_cb(ctx, on_protocols, c);
    }
    return ctx;
}

static bool has_kind(const struct material *m, size_t end, size_t ctx, int kind)
{
    for (size_t i = 0; i < end; i++) {
        if (m->ctx[i] == ctx && EVP_PKEY_get_base_id(m->ids[i].key) == kind) {
            return true;
        }
    }
    return false;
}

/* The SSL_CTX that the i-th certificate belongs to; a new one if there is no twin before it. */
static size_t ctx_for(const struct tls_context *c, const struct material *m, size_t i)
{
    int kind = EVP_PKEY_get_base_id(m->ids[i].key);
    for (size_t j = 0; j < i; j++) {
        if (tls_names_equal(&m->names[j], &m->names[i]) && !has_kind(m, i, m->ctx[j], kind)) {
            return m->ctx[j];
        }
    }
    return c->ctx_count;
}

static int add_certificate(struct tls_context *c, struct material *m, size_t i,
                           char why[TLS_WHY_MAX])
{
    m->ctx[i] = ctx_for(c, m, i);
    if (m->ctx[i] == c->ctx_count) {
        SSL_CTX *ctx = ctx_new(c, m);
        if (ctx == NULL) {
            return tls_context_explain(why, "cannot set up TLS");
        }
        c->ctx[c->ctx_count++] = ctx;
        tls_names_add(&c->names, m->ids[i].leaf, m->ctx[i]);
    }
    tls_context_add_facts(c, &m->ids[i], m->setup->certs[i], true);
    return tls_context_use(c->ctx[m->ctx[i]], &m->ids[i], m->setup->certs[i], why);
}

static int build(struct tls_context *c, struct material *m, char why[TLS_WHY_MAX])
{
    int rc = set_protocols(c, m->setup, why);
    if (rc == 0 && !material_digest(m)) {
        rc = tls_context_explain(why, "cannot set up TLS");
    }
    for (size_t i = 0; rc == 0 && i < m->setup->count; i++) {
        rc = add_certificate(c, m, i, why);
    }
    tls_names_sort(&c->names);
    return rc;
}

int tls_server_context_new(struct tls_context **out, const struct tls_server_setup *setup,
                           char why[TLS_WHY_MAX])
{
    struct material m;
    struct tls_context *c = tls_context_begin(setup->count);
    ERR_clear_error();
    int rc = material_load(&m, setup, why);
    rc = rc == 0 ? build(c, &m, why) : rc;
    material_release(&m);
    if (rc != 0) {
        tls_context_unref(c);
        c = NULL;
    }
    *out = c;
    return rc;
}
