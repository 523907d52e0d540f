/* What stands between a server's accept and the protocol spoken there: the PROXY header that names
 * the client (send_proxy), and the TLS handshake (tls). For every connection that a worker makes to
 * a server. */
#ifndef ROUTER_CORE_UPSTREAM_H
#define ROUTER_CORE_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct session;
struct worker;

/* UPSTREAM_READY: it may be spoken to. UPSTREAM_PENDING: conn_ops.on_secured or on_error follow,
 * and what on_data brings before goes to upstream_data(). Or a UV_* code: the owner closes. */
enum { UPSTREAM_READY, UPSTREAM_PENDING };

/* On a connected conn to a server of a backend. `s`: whose client it is for; NULL: nobody's. */
int upstream_begin(struct worker *w, size_t backend, size_t server, struct conn *c,
                   const struct session *s);
/* The server's answer to whether TLS may begin (struct tls_upgrade). UPSTREAM_PENDING or UV_*. */
int upstream_data(struct worker *w, size_t backend, size_t server, struct conn *c, const char *data,
                  size_t len);
/* Begins TLS where the protocol does so later (proto.tls_greeted). UPSTREAM_PENDING or UV_*. */
int upstream_secure(struct worker *w, size_t backend, size_t server, struct conn *c);
/* The handshake is over: counts it. */
void upstream_secured(struct worker *w, size_t backend, size_t server, const struct conn *c);

/* Descriptors, memory or ports that this machine has run out of: they say nothing of the server. */
bool upstream_is_our_want(int status);

#endif
