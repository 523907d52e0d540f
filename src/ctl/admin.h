/* The admin address: a small HTTP/1.1 server (GET and HEAD, RFC 9112) for the paths of answer.h,
 * with a password or without (authorize.h). At most ADMIN_CONNECTIONS at once, ADMIN_REQUEST_BYTES
 * a request, ADMIN_UNSENT_BYTES of answers that are not read, one deadline for each; a slow reader
 * costs its own answer and nothing else. Who comes when all places are taken waits in the kernel's
 * queue, but not for the idle, and not long for those that are slow (admin_room.c). */
#ifndef ROUTER_CTL_ADMIN_H
#define ROUTER_CTL_ADMIN_H

#define ADMIN_CONNECTIONS   64
#define ADMIN_REQUEST_BYTES 8192
#define ADMIN_UNSENT_BYTES  4194304 /* together; one answer may be larger if it is alone */

struct admin;
struct control;

/* Serves on `fd`, a bound and listening socket that it takes over. NULL if out of memory. */
struct admin *admin_new(struct control *c, int fd);
/* The running configuration is another one: it may ask for another password. */
void admin_adopt(struct admin *a);
/* Another process accepts there now. */
void admin_leave(struct admin *a);
/* How many clients there are. */
unsigned admin_clients(const struct admin *a);
int admin_fd(const struct admin *a); /* that listens; borrowed */
/* Looks whether files with passwords have changed. */
void admin_look_at_files(struct admin *a);
/* Closes the listener and all connections; memory is freed from the loop's close callbacks. */
void admin_close(struct admin *a);

#endif
