/* What net/conn.c and the files of TLS below it share. */
#ifndef ROUTER_NET_CONN_SEND_H
#define ROUTER_NET_CONN_SEND_H

#include <stdbool.h>
#include <stddef.h>

struct conn;

/* Sends bytes as they are, or queues a copy. `more`: others follow at once (MSG_MORE, send(2)). 0
 * or a UV_* code. */
int conn_send(struct conn *c, const char *data, size_t len, bool more);

/* Under TLS (net/conn_tls.c). */
void conn_tls_begin(struct conn *c);
void conn_tls_data(struct conn *c, const char *data, size_t len);
void conn_tls_eof(struct conn *c); /* the peer's FIN */
int conn_tls_write(struct conn *c, const char *data, size_t len);
void conn_tls_finish(struct conn *c); /* close_notify */
void conn_tls_release(struct conn *c);

#endif
