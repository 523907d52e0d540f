#include "secure.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static void (*ticket_taker)(void *owner, SSL_SESSION *ticket);

static _Noreturn void die(const char *what)
{
    char words[256] = "";
    ERR_error_string_n(ERR_peek_error(), words, sizeof(words));
    fprintf(stderr, "TLS: %s: %s\n", what, words);
    exit(1);
}

static void must(bool fine, const char *what)
{
    if (!fine)
        die(what);
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    SSL_CTX *c = SSL_CTX_new(method);
    must(c, "SSL_CTX_new");
    /* An idle session keeps no buffers: what HAProxy, nginx and router all do. */
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(c, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    return c;
}

SSL_CTX *secure_client(const struct secure_asked *asked)
{
    SSL_CTX *c = context_new(TLS_client_method());
    must(SSL_CTX_set_min_proto_version(c, asked->version), "version");
    must(SSL_CTX_set_max_proto_version(c, asked->version), "version");
    must(SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256"), "suites");
    must(SSL_CTX_set_cipher_list(c, asked->rsa ? "ECDHE-RSA-AES128-GCM-SHA256"
                                               : "ECDHE-ECDSA-AES128-GCM-SHA256"),
         "ciphers");
    must(SSL_CTX_set1_groups_list(c, asked->nist ? "P-256" : "X25519:P-256"), "groups");
    must(
        SSL_CTX_set1_sigalgs_list(c, asked->rsa ? "rsa_pss_rsae_sha256" : "ecdsa_secp256r1_sha256"),
        "signatures");
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    return c;
}

SSL_CTX *secure_server(const char *pem)
{
    SSL_CTX *c = context_new(TLS_server_method());
    must(SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION), "version");
    must(SSL_CTX_use_certificate_chain_file(c, pem) == 1, pem);
    must(SSL_CTX_use_PrivateKey_file(c, pem, SSL_FILETYPE_PEM) == 1, pem);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(c, 1);
    return c;
}

static int on_new_session(SSL *s, SSL_SESSION *ticket)
{
    ticket_taker(SSL_get_app_data(s), ticket);
    return 1;
}

void secure_on_ticket(SSL_CTX *context, void (*on_ticket)(void *owner, SSL_SESSION *ticket))
{
    ticket_taker = on_ticket;
    SSL_CTX_sess_set_new_cb(context, on_new_session);
}

static SSL *session_new(SSL_CTX *context, int fd)
{
    SSL *s = SSL_new(context);
    must(s && SSL_set_fd(s, fd), "SSL_new");
    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    return s;
}

SSL *secure_connect(SSL_CTX *context, int fd, SSL_SESSION *resume, void *owner)
{
    SSL *s = session_new(context, fd);
    must(SSL_set_tlsext_host_name(s, "bench.example"), "server name");
    must(!resume || SSL_set_session(s, resume), "session");
    SSL_set_app_data(s, owner);
    SSL_set_connect_state(s);
    return s;
}

SSL *secure_accept(SSL_CTX *context, int fd)
{
    SSL *s = session_new(context, fd);
    SSL_set_accept_state(s);
    return s;
}

uint32_t secure_handshake(SSL *s)
{
    ERR_clear_error();
    int result = SSL_do_handshake(s);
    if (result == 1)
        return 0;
    switch (SSL_get_error(s, result)) {
    case SSL_ERROR_WANT_READ:
        return EPOLLIN;
    case SSL_ERROR_WANT_WRITE:
        return EPOLLOUT;
    default:
        return UINT32_MAX;
    }
}

void secure_verify(SSL *s, const struct secure_asked *asked, bool resumed)
{
    must(SSL_version(s) == asked->version, "another version than asked for");
    must(!SSL_session_reused(s) || resumed, "a session was resumed that should be new");
    must(SSL_session_reused(s) || !resumed, "a session is new that should be resumed");
    must(strstr(SSL_get_cipher_name(s), "AES_128_GCM") || strstr(SSL_get_cipher_name(s), "AES128"),
         "another cipher than asked for");
    if (resumed)
        return;
    int signature = NID_undef;
    SSL_get_peer_signature_type_nid(s, &signature);
    must(signature == (asked->rsa ? EVP_PKEY_RSA_PSS : EVP_PKEY_EC), "another kind of key");
    EVP_PKEY *share = NULL;
    must(SSL_get_peer_tmp_key(s, &share), "no key exchange");
    must(EVP_PKEY_is_a(share, asked->nist ? "EC" : "X25519"), "another group than asked for");
    EVP_PKEY_free(share);
}

/* -1 with EAGAIN, or 0 = the end; anything else is an error of the connection. */
static ssize_t unfinished(SSL *s, int result)
{
    int error = SSL_get_error(s, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error != SSL_ERROR_SYSCALL || !errno)
        errno = EPROTO;
    return -1;
}

ssize_t secure_recv(SSL *s, char *to, size_t size)
{
    ERR_clear_error();
    errno = 0;
    int n = SSL_read(s, to, (int)size);
    return n > 0 ? n : unfinished(s, n);
}

ssize_t secure_send(SSL *s, const char *data, size_t len)
{
    ERR_clear_error();
    errno = 0;
    int n = SSL_write(s, data, (int)len);
    return n > 0 ? n : unfinished(s, n);
}
