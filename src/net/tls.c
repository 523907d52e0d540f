/* Two memory BIOs: what is fed lies in `in`, what OpenSSL wants to send in `out`. Only the control
 * thread's probes use it, a few small messages a second: copies do not matter here. */
#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"

struct tls_context {
    SSL_CTX *ctx; /* ref: sessions hold others */
    char *name;   /* owned; NULL = none */
    bool verify;
};

struct tls {
    SSL *ssl;
    BIO *in;  /* owned by ssl */
    BIO *out; /* owned by ssl */
    bool ready;
    bool verify;
    bool trusted; /* when ready */
    bool sent;    /* what tls_output() gave is to be dropped at its next call */
    char why[TLS_WHY_MAX];
};

/* The oldest error is the cause; what OpenSSL piles on it is of no use to people. */
static void explain(char why[TLS_WHY_MAX], const char *what)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(why, TLS_WHY_MAX, "%s%s%s", what, reason != NULL ? ": " : "",
             reason != NULL ? reason : "");
    ERR_clear_error();
}

/* Contexts ---------------------------------------------------------------------------------- */

static bool load_ca(SSL_CTX *ctx, const char *ca)
{
    return ca != NULL ? SSL_CTX_load_verify_file(ctx, ca) == 1
                      : SSL_CTX_set_default_verify_paths(ctx) == 1;
}

int tls_context_new(struct tls_context **out, const struct tls_setup *setup, char why[TLS_WHY_MAX])
{
    *out = NULL;
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        explain(why, "cannot set up TLS");
        SSL_CTX_free(ctx);
        return UV_EINVAL;
    }
    if (setup->verify && !load_ca(ctx, setup->ca)) {
        char what[TLS_WHY_MAX / 2];
        snprintf(what, sizeof what, "cannot read certificates from %s",
                 setup->ca != NULL ? setup->ca : "the system's store");
        explain(why, what);
        SSL_CTX_free(ctx);
        return UV_EINVAL;
    }
    SSL_CTX_set_verify(ctx, setup->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    struct tls_context *c = xcalloc(1, sizeof *c);
    c->ctx = ctx;
    c->name = setup->name != NULL ? xstrdup(setup->name) : NULL;
    c->verify = setup->verify;
    *out = c;
    return 0;
}

void tls_context_free(struct tls_context *c)
{
    if (c != NULL) {
        SSL_CTX_free(c->ctx);
        free(c->name);
        free(c);
    }
}

/* Sessions ---------------------------------------------------------------------------------- */

static bool expect_name(struct tls *t, const struct tls_context *c, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    if (c->name == NULL) {
        return !c->verify || X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    }
    return SSL_set_tlsext_host_name(t->ssl, c->name) == 1 &&
           (!c->verify || X509_VERIFY_PARAM_set1_host(param, c->name, 0) == 1);
}

struct tls *tls_new(struct tls_context *c, const char *host)
{
    struct tls *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    ERR_clear_error();
    t->ssl = SSL_new(c->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (t->ssl == NULL || t->in == NULL || t->out == NULL || !expect_name(t, c, host)) {
        BIO_free(t->in);
        BIO_free(t->out);
        SSL_free(t->ssl);
        free(t);
        ERR_clear_error();
        return NULL;
    }
    t->verify = c->verify;
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    SSL_do_handshake(t->ssl); /* wants to read: the client hello is in `out` */
    ERR_clear_error();
    return t;
}

void tls_free(struct tls *t)
{
    if (t != NULL) {
        SSL_free(t->ssl);
        free(t);
    }
}

void tls_tolerate(struct tls *t)
{
    SSL_set_verify(t->ssl, SSL_VERIFY_NONE, NULL); /* the result is kept all the same */
}

static void explain_distrust(struct tls *t, long verified)
{
    snprintf(t->why, sizeof t->why, "its certificate is not accepted: %s",
             X509_verify_cert_error_string(verified));
}

static int fail(struct tls *t, const char *what)
{
    long verified = SSL_get_verify_result(t->ssl);
    if (!t->ready && verified != X509_V_OK && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE) {
        explain_distrust(t, verified);
        ERR_clear_error();
    } else {
        explain(t->why, what);
    }
    return UV_EPROTO;
}

/* SSL_get_verify_result(3) is X509_V_OK where there is no certificate at all, too. */
static bool is_verified(struct tls *t)
{
    long verified = SSL_get_verify_result(t->ssl);
    bool shown = SSL_get0_peer_certificate(t->ssl) != NULL;
    if (shown && verified == X509_V_OK) {
        return true;
    }
    explain_distrust(t, shown ? verified : X509_V_ERR_UNSPECIFIED);
    return false;
}

static int shake_hands(struct tls *t)
{
    int rc = SSL_do_handshake(t->ssl);
    if (rc == 1) {
        t->trusted = !t->verify || is_verified(t);
        t->ready = t->trusted || SSL_get_verify_mode(t->ssl) == SSL_VERIFY_NONE;
        return t->ready ? 0 : UV_EPROTO;
    }
    return SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ ? 0
                                                            : fail(t, "the TLS handshake failed");
}

/* What was given out goes before anything new is added behind it. */
static void drop_sent(struct tls *t)
{
    if (t->sent) {
        (void)BIO_reset(t->out);
        t->sent = false;
    }
}

int tls_feed(struct tls *t, const char *data, size_t len)
{
    drop_sent(t);
    ERR_clear_error();
    if (BIO_write(t->in, data, (int)len) != (int)len) {
        return fail(t, "out of memory");
    }
    if (!t->ready) {
        int rc = shake_hands(t);
        if (rc != 0 || !t->ready) {
            return rc;
        }
    }
    char byte;
    int rc = SSL_peek(t->ssl, &byte, 1);
    switch (rc > 0 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return UV_EOF;
    default:
        return fail(t, "TLS failed");
    }
}

bool tls_is_ready(const struct tls *t)
{
    return t->ready;
}

bool tls_is_trusted(const struct tls *t)
{
    return t->trusted;
}

size_t tls_read(struct tls *t, char *out, size_t size)
{
    size_t len = 0;
    bool some = t->ready && SSL_read_ex(t->ssl, out, size, &len) == 1;
    ERR_clear_error();
    return some ? len : 0;
}

int tls_write(struct tls *t, const char *data, size_t len)
{
    size_t written = 0;
    drop_sent(t);
    ERR_clear_error();
    if (len == 0) {
        return 0;
    }
    bool ok = t->ready && SSL_write_ex(t->ssl, data, len, &written) == 1 && written == len;
    return ok ? 0 : fail(t, "TLS failed");
}

const char *tls_output(struct tls *t, size_t *len)
{
    drop_sent(t);
    char *data = NULL;
    long n = BIO_get_mem_data(t->out, &data);
    *len = n > 0 ? (size_t)n : 0;
    t->sent = *len > 0;
    return *len > 0 ? data : NULL;
}

const char *tls_why(const struct tls *t)
{
    return t->why;
}
