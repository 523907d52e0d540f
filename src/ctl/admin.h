/* The admin address: a small HTTP/1.1 server (GET and HEAD, RFC 9112) for /, /stats.json, /metrics,
 * /healthz and /readyz. At most ADMIN_CONNECTIONS at once, ADMIN_REQUEST_BYTES a request, one
 * deadline for each; a slow reader costs its own answer and nothing else. */
#ifndef ROUTER_CTL_ADMIN_H
#define ROUTER_CTL_ADMIN_H

#define ADMIN_CONNECTIONS   64
#define ADMIN_REQUEST_BYTES 8192

struct admin;
struct control;

/* Serves on `fd`, a bound and listening socket that it takes over. NULL if out of memory. */
struct admin *admin_new(struct control *c, int fd);
/* Closes the listener and all connections; memory is freed from the loop's close callbacks. */
void admin_close(struct admin *a);

#endif
