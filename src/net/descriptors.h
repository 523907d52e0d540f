/* Messages of text with descriptors beside them, over a pair of SOCK_SEQPACKET sockets (unix(7),
 * SCM_RIGHTS): how a process hands its sockets to the one that takes its place. Each message
 * arrives whole or not at all. */
#ifndef ROUTER_NET_DESCRIPTORS_H
#define ROUTER_NET_DESCRIPTORS_H

#include <stddef.h>
#include <sys/types.h>

#define DESCRIPTORS_MAX      64    /* in one message */
#define DESCRIPTORS_TEXT_MAX 16384 /* the same */

/* 0; UV_EAGAIN if it does not fit at the moment; or another UV_* code. */
int descriptors_send(int sock, const char *text, size_t len, const int *fds, size_t count);
/* How many bytes of text came, with a NUL behind them; 0: the other side has closed. A UV_* code:
 * nothing came. The descriptors are close-on-exec, and the caller's. */
ssize_t descriptors_receive(int sock, char text[DESCRIPTORS_TEXT_MAX + 1], int fds[DESCRIPTORS_MAX],
                            size_t *count);

#endif
