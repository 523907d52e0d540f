/* The inside of a session: what net/conn_tls.c does with it, and what the files of TLS share. */
#ifndef ROUTER_NET_TLS_SESSION_H
#define ROUTER_NET_TLS_SESSION_H

#include <openssl/ssl.h>

#include "net/tls.h"
#include "net/tls_desk.h"
#include "net/tls_tickets.h"

struct tls {
    SSL *ssl;                    /* owned */
    struct tls_context *context; /* ref */
    struct tls_desk *desk;       /* borrowed from the loop, once it has a conn */
    struct tls_tickets *tickets; /* borrowed; NULL for a client */
    struct tls_resume *slot;     /* borrowed; NULL for a server */
    unsigned unread;             /* bytes of answers that the peer has not taken */
    unsigned changes;            /* steps of OpenSSL's since the last application data */
    bool ready;
    bool trusted; /* when ready */
};

enum tls_step {
    TLS_WAITS, /* all that was received is used up */
    TLS_READY, /* tls_shake(): the handshake is over */
    TLS_FULL,  /* tls_read(): there is more than fits into desk->plain */
};

/* What they return below 0 is a UV_* code: UV_EPROTO and UV_EOF (the peer's close_notify) are TLS's
 * own, the rest is what the socket said. What the session has to say is sent or queued when they
 * return, also when they fail. */
int tls_shake(struct tls *t, struct conn *c, struct tls_bytes *in);
/* *len bytes are in desk->plain then, also when it fails. */
int tls_read(struct tls *t, struct conn *c, struct tls_bytes *in, size_t *len);
int tls_write(struct tls *t, struct conn *c, const char *data, size_t len);
void tls_say_end(struct tls *t, struct conn *c); /* close_notify; it is the last thing we say */
void tls_explain(struct tls_desk *d, struct conn *c, const char *words);

/* For callbacks of OpenSSL. */
struct tls *tls_of(const SSL *ssl);
bool tls_is_harassed(const struct tls *t); /* the peer wants work done and says nothing */
BIO *tls_bio_new(struct tls *t);
/* Sends or queues what was gathered; 0 or a UV_* code. */
int tls_bio_flush(struct tls_desk *d, bool more);

#endif
