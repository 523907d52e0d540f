/* One stream socket (TCP or unix) on a loop, in the clear or under TLS: what the owner writes and
 * reads is plain text either way. The conn is embedded in its owner's object; from
 * conn_open() or conn_connect() on, also when they fail, the only way out is conn_close() or
 * conn_reset(), and the memory may be freed in on_closed, not before. Every call but these two
 * tolerates a conn that is closing already.
 *
 * Writing never waits: what the kernel does not take at once is copied into one queued chunk, and
 * the owner is told by on_drained when all of it has left. The owner keeps memory bounded by
 * pausing whoever feeds it while conn_queued() > 0. */
#ifndef ROUTER_NET_CONN_H
#define ROUTER_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/address.h"

struct conn;
struct loop;
struct tls;

/* None of them is called from inside a conn_*() function that the owner called, and none after
 * conn_close() or conn_reset() but on_closed. */
struct conn_ops {
    void (*on_connected)(struct conn *c); /* before any on_data */
    /* `data` is borrowed until the return. */
    void (*on_data)(struct conn *c, const char *data, size_t len);
    /* The peer's FIN, under TLS its close_notify; writing still works. */
    void (*on_eof)(struct conn *c);
    void (*on_drained)(struct conn *c); /* all that was queued has left; NULL: who needs no room */
    void (*on_error)(struct conn *c, int status); /* UV_*: connect, read or write failed; the owner
                                                     closes or resets */
    void (*on_closed)(struct conn *c);            /* the last call */
    /* The TLS handshake is over; before any on_data. NULL: nobody calls conn_secure(). */
    void (*on_secured)(struct conn *c);
};

/* Why reading is paused; it goes on when no reason is left. */
enum conn_pause {
    PAUSE_PEER_FULL = 1, /* the other side's queue is not empty */
    PAUSE_WAITING = 2,   /* nowhere to put more bytes yet */
    PAUSE_HOLD = 4,      /* who may be written to is contested */
};

struct conn_tcp {
    uint64_t keepalive_ms;    /* idle time; 0 = off */
    uint64_t user_timeout_ms; /* 0 = the system's */
};

struct conn {
    uv_tcp_t uv;
    int fd;                     /* what uv wraps, for send(2); valid while open */
    struct loop *loop;          /* borrowed */
    const struct conn_ops *ops; /* borrowed */
    struct tls *tls;            /* owned; NULL = in the clear */
    uint8_t pauses;             /* enum conn_pause bits */
    bool open;                  /* between the constructor and close */
    bool reading;               /* conn_start() was called and no EOF came */
    bool eof;                   /* the peer's FIN was seen */
    bool finish_wanted;         /* FIN when the queue is empty */
    bool finished;              /* our FIN was sent */
    bool more;                  /* conn_more() */
    bool path;                  /* a unix socket that we connected */
    bool secured;               /* TLS, and its handshake is over */
    bool abrupt;                /* `eof` came under TLS without a close_notify: it may be cut */
};

/* Takes over a connected, non-blocking socket. A returned error means that the conn is closing and
 * on_closed will come. */
int conn_open(struct conn *c, struct loop *l, const struct conn_ops *ops, int fd);
/* Starts a connect, and to read once it is there. `tcp` NULL leaves conn_tune() to the caller.
 * CONN_PENDING: on_connected or on_error follow; CONN_CONNECTED: it is connected already (unix
 * sockets), no callback follows; a UV_* code: it failed at once, the conn is closing. */
enum { CONN_PENDING, CONN_CONNECTED };
int conn_connect(struct conn *c, struct loop *l, const struct conn_ops *ops,
                 const struct address *to, const struct conn_tcp *tcp);
void conn_start(struct conn *c); /* begin to read */
/* Sends or queues a copy. 0, or a UV_* code: then on_error is not called, the owner closes. */
int conn_write(struct conn *c, const char *data, size_t len);
/* The next conn_write() will have another one right behind it, with which it may be sent. */
static inline void conn_more(struct conn *c)
{
    c->more = true;
}
size_t conn_queued(const struct conn *c);
/* FIN after everything queued; under TLS a close_notify before it. */
void conn_finish(struct conn *c);
void conn_pause(struct conn *c, enum conn_pause why);
void conn_resume(struct conn *c, enum conn_pause why);
/* The socket is closed when these return; on_closed comes later from the loop. Idempotent. */
void conn_close(struct conn *c);
void conn_reset(struct conn *c); /* the same, as a RST to the peer */
/* Begins TLS on a conn that is open and connected: takes `t` over, also when it fails. `first` is
 * what the peer has sent and the owner has read of it already (lent). 0: on_secured follows, or
 * on_error, later; a UV_* code: it failed at once, the owner closes. May be called in any callback,
 * in on_data only if all of its data that the owner does not use are in `first`.
 *
 * Until on_secured nothing may be written, and a pause stops the handshake. A handshake that fails
 * is on_error(UV_EPROTO), with an alert to the peer; one that the peer ends, UV_EOF. So is a
 * session that fails later. From then on:
 *  - on_data comes for all that was received at once, also if the owner pauses in the midst of it;
 *  - conn_close() without conn_finish() sends no close_notify: the peer takes it for a cut;
 *  - a peer that makes us answer (KeyUpdate, renegotiation) and does not read is on_error. */
int conn_secure(struct conn *c, struct tls *t, const char *first, size_t len);
bool conn_is_secured(const struct conn *c);
/* Words on the last failure of TLS, else "". Of use in on_error, in on_secured (tls_is_trusted())
 * and after a failed call; the next failure on the loop overwrites it. */
const char *conn_why(const struct conn *c);
/* As conn_finish() without the close_notify: the peer sees what was cut, as it was cut here. */
void conn_cut(struct conn *c);
/* The addresses of both ends (getpeername(2), getsockname(2)). False: it is gone. */
bool conn_peer(const struct conn *c, struct address *out);
bool conn_own(const struct conn *c, struct address *out);
/* Whether the peer of a conn that is not being read has sent FIN or RST. */
bool conn_peer_left(const struct conn *c);

/* Sets keepalive and TCP_USER_TIMEOUT (tcp(7)); TCP_NODELAY is always set. */
void conn_tune(struct conn *c, const struct conn_tcp *tcp);
/* The same, and TCP_NODELAY, for a listening socket: what it accepts inherits them. */
void conn_tune_listener(int fd, int family, const struct conn_tcp *tcp);

#endif
