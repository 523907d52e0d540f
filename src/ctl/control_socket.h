/* The control sockets: unix sockets that take runtime commands (ctl/command.h) the way HAProxy's
 * stats sockets do. A client sends a line of commands, gets their answers one after the other, an
 * empty line behind each, and the connection ends; "prompt" keeps it open.
 *
 * Bound at the start, before anything may fail that leaves files behind; listened on while the
 * control loop runs; the files are removed with the memory. At most CONTROL_CONNECTIONS at once,
 * CONTROL_LINE_MAX bytes of a command, a deadline for each wait; one command runs in each turn of
 * the loop, and none while answers of CONTROL_KEPT_MAX bytes wait to be read. */
#ifndef ROUTER_CTL_CONTROL_SOCKET_H
#define ROUTER_CTL_CONTROL_SOCKET_H

#include <stddef.h>

#define CONTROL_CONNECTIONS 32
#define CONTROL_LINE_MAX    16384
#define CONTROL_KEPT_MAX    (4 * 1024 * 1024)

struct address;
struct config;
struct heritage;
struct control;
struct control_sockets;
struct text;

/* Binds all that the configuration names, or takes it from `heritage` (may be NULL); *out is NULL
 * if that fails, and is to be released otherwise. 0, or a UV_* code with one line of words in
 * `why`. */
int control_sockets_bind(struct control_sockets **out, const struct config *config,
                         struct heritage *heritage, char *why, size_t why_size);
/* Serves. 0, or a UV_* code: then control_sockets_close() is still to be called. */
int control_sockets_start(struct control_sockets *s, struct control *c);
/* Another process accepts there now. NULL is fine. */
void control_sockets_leave(struct control_sockets *s);
/* How many clients there are. NULL is fine. */
unsigned control_sockets_clients(const struct control_sockets *s);
/* Loop thread: closes the listeners and all connections. NULL is fine. */
void control_sockets_close(struct control_sockets *s);
/* After the loop has ended, or never ran: removes the files and frees. NULL is fine. */
void control_sockets_release(struct control_sockets *s);

/* Each that listens, for another process; the descriptors are borrowed. NULL is fine. */
void control_sockets_each(const struct control_sockets *s,
                          void (*found)(void *context, const struct address *at, int fd),
                          void *context);
/* The files belong to another process now. NULL is fine. */
void control_sockets_disown(struct control_sockets *s);

size_t control_sockets_count(const struct control_sockets *s);
/* "show cli sockets": where they are and what they may do, as HAProxy lists it. */
void control_sockets_list(const struct control_sockets *s, struct text *out);

#endif
