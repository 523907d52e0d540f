/* One session. Every function of OpenSSL that may read or write runs between begin() and end():
 * meanwhile the loop's desk is this session's, and no owner is called. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/address.h"
#include "base/macros.h"
#include "net/conn.h"
#include "net/tls_context.h"
#include "net/tls_session.h"

/* What a peer may make us answer without taking any of it. */
#define UNREAD_MAX  16384
/* A change of keys (RFC 8446, section 4.6.3) takes four steps, some microseconds, and 27 bytes of
 * the peer's; a ticket takes two. Nobody needs many in a row. */
#define CHANGES_MAX 128

/* Making one -------------------------------------------------------------------------------- */

static void on_info(const SSL *ssl, int where, int value)
{
    (void)value;
    struct tls *t = tls_of(ssl);
    t->changes += t->ready && (where & SSL_CB_LOOP) != 0;
}

bool tls_is_harassed(const struct tls *t)
{
    return t->changes > CHANGES_MAX;
}

static struct tls *session_new(struct tls_context *c)
{
    struct tls *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->ssl = SSL_new(c->ctx[0]);
    BIO *bio = tls_bio_new(t);
    if (t->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        SSL_free(t->ssl);
        free(t);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_info_callback(t->ssl, on_info);
    t->context = tls_context_ref(c);
    return t;
}

struct tls *tls_accept(struct tls_context *c, struct tls_tickets *tickets)
{
    struct tls *t = session_new(c);
    if (t == NULL) {
        return NULL;
    }
    SSL_set_accept_state(t->ssl);
    t->tickets = tickets;
    if (tickets == NULL) {
        SSL_set_options(t->ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(t->ssl, 0);
    }
    return t;
}

static bool is_address(const char *host)
{
    struct in6_addr bytes;
    return inet_pton(AF_INET, host, &bytes) == 1 || inet_pton(AF_INET6, host, &bytes) == 1;
}

static bool expect_named(struct tls *t, const char *name)
{
    return SSL_set_tlsext_host_name(t->ssl, name) == 1 &&
           (!t->context->verify ||
            X509_VERIFY_PARAM_set1_host(SSL_get0_param(t->ssl), name, 0) == 1);
}

/* An address is not sent (RFC 6066, section 3), and of a name not the dot at its end. Of an empty
 * one OpenSSL would think that any will do. */
static bool expect_name(struct tls *t, const char *host)
{
    const struct tls_context *c = t->context;
    char name[ADDRESS_NAME_MAX];
    if (c->name != NULL) {
        return expect_named(t, c->name);
    }
    if (host[0] == '\0') {
        return !c->verify;
    }
    if (is_address(host)) {
        return !c->verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), host) == 1;
    }
    size_t len = (size_t)snprintf(name, sizeof name, "%s", host);
    if (len >= sizeof name) {
        return false;
    }
    if (name[len - 1] == '.') {
        name[len - 1] = '\0';
    }
    return expect_named(t, name);
}

/* A session that was made in another context was verified by other rules. */
static void resume(struct tls *t)
{
    struct tls_resume *slot = t->slot;
    if (slot->session != NULL && slot->context != t->context->id) {
        tls_resume_release(slot);
    }
    if (slot->session != NULL && (SSL_SESSION_is_resumable(slot->session) != 1 ||
                                  SSL_set_session(t->ssl, slot->session) != 1)) {
        tls_resume_release(slot);
    }
}

struct tls *tls_connect(struct tls_context *c, const char *host, struct tls_resume *slot)
{
    struct tls *t = session_new(c);
    if (t == NULL) {
        return NULL;
    }
    if (!expect_name(t, host)) {
        tls_free(t);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_connect_state(t->ssl);
    t->slot = slot;
    if (slot != NULL) {
        resume(t);
    }
    return t;
}

void tls_resume_release(struct tls_resume *r)
{
    SSL_SESSION_free(r->session);
    *r = (struct tls_resume){0};
}

void tls_free(struct tls *t)
{
    if (t != NULL) {
        /* A session whose end was not said could not be resumed (SSL_set_shutdown(3)). */
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(t->ssl);
        tls_context_unref(t->context);
        free(t);
    }
}

void tls_tolerate(struct tls *t)
{
    SSL_set_verify(t->ssl, SSL_VERIFY_NONE, NULL); /* the result is kept all the same */
}

/* Questions --------------------------------------------------------------------------------- */

bool tls_is_trusted(const struct tls *t)
{
    return t->trusted;
}

bool tls_is_resumed(const struct tls *t)
{
    return t->ready && SSL_session_reused(t->ssl) == 1;
}

/* Words ------------------------------------------------------------------------------------- */

void tls_explain(struct tls_desk *d, struct conn *c, const char *words)
{
    d->why_of = c;
    snprintf(d->why, sizeof d->why, "%s", words);
}

static void explain_distrust(struct tls_desk *d, struct conn *c, long verified)
{
    d->why_of = c;
    snprintf(d->why, sizeof d->why, "its certificate is not accepted: %s",
             X509_verify_cert_error_string(verified));
}

/* The oldest error is the cause; what OpenSSL piles on it is of no use to people. */
static void explain_error(struct tls *t, struct conn *c)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    t->desk->why_of = c;
    snprintf(t->desk->why, sizeof t->desk->why, "%s%s%s",
             t->ready ? "TLS failed" : "the TLS handshake failed", reason != NULL ? ": " : "",
             reason != NULL ? reason : "");
}

/* Running OpenSSL --------------------------------------------------------------------------- */

static void begin(struct tls *t, struct conn *c, struct tls_bytes *in)
{
    struct tls_desk *d = t->desk;
    d->conn = c;
    d->in = in;
    d->out_len = 0;
    d->starved = false;
    d->status = 0;
}

/* A call has failed for another reason than having too little to read. */
static int fail(struct tls *t, struct conn *c)
{
    struct tls_desk *d = t->desk;
    tls_bio_flush(d, false); /* the alert */
    long verified = SSL_get_verify_result(t->ssl);
    if (d->status != 0) {
        tls_explain(d, c, uv_strerror(d->status));
    } else if (tls_is_harassed(t)) {
        tls_explain(d, c, "TLS failed: the peer changes keys again and again");
    } else if (!t->ready && verified != X509_V_OK &&
               SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE) {
        explain_distrust(d, c, verified);
    } else {
        explain_error(t, c);
    }
    ERR_clear_error();
    if (!t->ready && t->slot != NULL) {
        tls_resume_release(t->slot); /* what it does not like may be what was to be resumed */
    }
    return d->status != 0 ? d->status : UV_EPROTO;
}

/* Whoever makes us answer and does not read the answers would fill our memory. */
static int flush_answers(struct tls *t, struct conn *c, bool more)
{
    struct tls_desk *d = t->desk;
    if (LIKELY(d->out_len == 0)) {
        return 0;
    }
    if (c->finish_wanted) {
        d->out_len = 0; /* our close_notify was the last thing we said */
        return 0;
    }
    t->unread = conn_queued(c) > 0 ? t->unread + (unsigned)d->out_len : 0;
    if (t->unread > UNREAD_MAX) {
        d->out_len = 0;
        tls_explain(d, c, "TLS failed: the peer does not read what it asks for");
        return UV_EPROTO;
    }
    int rc = tls_bio_flush(d, more);
    if (rc != 0) {
        tls_explain(d, c, uv_strerror(rc));
    }
    return rc;
}

/* SSL_get_verify_result(3) is X509_V_OK where there is no certificate at all, too. */
static bool is_verified(struct tls *t, struct conn *c)
{
    long verified = SSL_get_verify_result(t->ssl);
    bool shown = SSL_get0_peer_certificate(t->ssl) != NULL;
    if (shown && verified == X509_V_OK) {
        return true;
    }
    explain_distrust(t->desk, c, shown ? verified : X509_V_ERR_UNSPECIFIED);
    return false;
}

/* In TLS 1.2 a ticket that is renewed while it resumes a session spoils what was in the slot, and
 * no callback tells of the new one. */
static void keep_renewed(struct tls *t)
{
    if (t->slot != NULL && SSL_session_reused(t->ssl) == 1 &&
        SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get0_session(t->ssl) != t->slot->session) {
        tls_resume_release(t->slot);
        *t->slot = (struct tls_resume){SSL_get1_session(t->ssl), t->context->id};
    }
}

/* In TLS 1.3 a server's handshake is over when the client's is: all that it still has to say is a
 * ticket. That leaves with what is said next, by one packet less, or when the kernel will not wait
 * any longer (200 ms, tcp(7)). */
static bool is_ticket(const struct tls *t)
{
    return SSL_is_server(t->ssl) == 1 && SSL_version(t->ssl) == TLS1_3_VERSION;
}

int tls_shake(struct tls *t, struct conn *c, struct tls_bytes *in)
{
    begin(t, c, in);
    int rc = SSL_do_handshake(t->ssl);
    if (rc != 1 && !t->desk->starved) {
        return fail(t, c);
    }
    int sent = flush_answers(t, c, rc == 1 && is_ticket(t));
    if (sent != 0 || rc != 1) {
        ERR_clear_error();
        return sent;
    }
    bool client = SSL_is_server(t->ssl) == 0;
    t->trusted = !client || !t->context->verify || is_verified(t, c);
    if (!t->trusted && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE) {
        return UV_EPROTO;
    }
    t->ready = true;
    keep_renewed(t);
    return TLS_READY;
}

/* After an alert that ends the session OpenSSL calls it shut down as well, but it is "in init". */
static bool has_ended(const struct tls *t)
{
    return (SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN) != 0 && SSL_in_init(t->ssl) == 0;
}

/* SSL_read(3) with nothing to read would allocate a buffer to find that out. */
static int read_some(struct tls *t, struct conn *c, size_t *len)
{
    struct tls_desk *d = t->desk;
    while (*len < sizeof d->plain) {
        size_t n;
        if (d->in->len == 0 && SSL_has_pending(t->ssl) == 0) {
            return TLS_WAITS;
        }
        if (LIKELY(SSL_read_ex(t->ssl, d->plain + *len, sizeof d->plain - *len, &n) == 1)) {
            *len += n;
            t->changes = 0;
        } else if (d->starved) {
            return TLS_WAITS;
        } else {
            return has_ended(t) ? UV_EOF : fail(t, c);
        }
    }
    return TLS_FULL;
}

int tls_read(struct tls *t, struct conn *c, struct tls_bytes *in, size_t *len)
{
    begin(t, c, in);
    *len = 0;
    int rc = read_some(t, c, len);
    int sent = rc >= 0 || rc == UV_EOF ? flush_answers(t, c, false) : 0;
    return sent != 0 ? sent : rc;
}

int tls_write(struct tls *t, struct conn *c, const char *data, size_t len)
{
    size_t written;
    if (UNLIKELY(len == 0)) {
        return 0;
    }
    begin(t, c, NULL);
    if (UNLIKELY(SSL_write_ex(t->ssl, data, len, &written) != 1)) {
        return fail(t, c);
    }
    return tls_bio_flush(t->desk, false);
}

void tls_say_end(struct tls *t, struct conn *c)
{
    begin(t, c, NULL);
    SSL_shutdown(t->ssl);
    tls_bio_flush(t->desk, true); /* the FIN goes with it */
    ERR_clear_error();
}
