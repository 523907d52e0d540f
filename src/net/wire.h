/* A connection that we open, in the clear or under TLS: what is written and read is plain text
 * either way. For the few connections of the control thread: small messages, copied freely.
 *
 * Embedded in its owner's object. From wire_open() on, also when it fails, the only way out is
 * wire_close(); the memory may be freed in on_closed, not before. */
#ifndef ROUTER_NET_WIRE_H
#define ROUTER_NET_WIRE_H

#include "net/conn.h"
#include "net/tls.h"

struct wire;

/* None is called after wire_close() but on_closed. */
struct wire_ops {
    void (*on_connected)(struct wire *w); /* in the clear */
    void (*on_secured)(struct wire *w);   /* the TLS handshake is over */
    void (*on_data)(struct wire *w, const char *data, size_t len);
    /* It ended, or failed: UV_EOF, UV_EPROTO (wire_why() says what TLS did not like), or what the
     * socket said. The owner closes. */
    void (*on_gone)(struct wire *w, int status);
    void (*on_closed)(struct wire *w); /* the last call */
};

struct wire {
    struct conn conn;
    struct tls *tls;            /* owned; NULL = in the clear */
    const struct wire_ops *ops; /* borrowed */
    bool secured;
    bool closing;
};

/* What conn_connect() does and returns. */
int wire_open(struct wire *w, struct loop *l, const struct wire_ops *ops, const struct address *to,
              const struct conn_tcp *tcp);
/* Begins TLS on a connected wire; `host` as tls_new(). 0 or UV_ENOMEM, or what the socket said.
 * `tolerant`: on_secured is called for a server that is not to be trusted, too: wire_is_trusted()
 * and wire_why() tell. */
int wire_secure(struct wire *w, struct tls_context *context, const char *host, bool tolerant);
bool wire_is_trusted(const struct wire *w);
/* 0 or a UV_* code: then on_gone is not called, the owner closes. */
int wire_write(struct wire *w, const char *data, size_t len);
void wire_finish(struct wire *w); /* FIN after everything queued */
void wire_close(struct wire *w);
const char *wire_why(const struct wire *w);

#endif
