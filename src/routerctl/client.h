/* One question to the control socket and the way of its answer: connect, send, read until the
 * router closes. The router is not trusted: nothing here waits longer than it was told, and a whole
 * answer has a bound. */
#ifndef ROUTER_ROUTERCTL_CLIENT_H
#define ROUTER_ROUTERCTL_CLIENT_H

#include <stddef.h>
#include <sys/types.h>

#include "base/text.h"

#define CLIENT_ANSWER_MAX (64U << 20)

struct client {
    int fd;               /* owned; -1 = closed */
    struct text question; /* owned */
    size_t sent;
};

/* Monotonic. */
long client_now_ms(void);
/* Asks `command`, told to mark what it refuses ("[3]: words"). 0 or a negative errno; on failure
 * `tried` names the sockets that were tried. `path` NULL: $ROUTER_SOCKET, or where it is usually.
 */
int client_ask(struct client *c, const char *path, const char *command, int timeout_ms,
               struct text *tried);
/* The next bytes: their number, 0 at the end, -ETIMEDOUT when none came within timeout_ms, another
 * negative errno. A poll() for POLLIN on `fd` may come first, once the question is out. */
ssize_t client_read(struct client *c, char *buffer, size_t size, int timeout_ms);
/* All that is left, within timeout_ms: 0, -E2BIG beyond CLIENT_ANSWER_MAX, or as client_read(). */
int client_read_all(struct client *c, struct text *answer, int timeout_ms);
void client_close(struct client *c);

#endif
