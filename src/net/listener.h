/* Listening sockets: bound once at the start for all workers, watched by each worker's loop. */
#ifndef ROUTER_NET_LISTENER_H
#define ROUTER_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "base/address.h"
#include "net/conn.h"

struct loop;

/* Binds `count` sockets to one address and listens on them: for TCP each its own (SO_REUSEPORT, so
 * the kernel spreads connections), for a unix path one shared by duplicates. Another program on the
 * address, a second router included, is UV_EADDRINUSE. 0 or a UV_* code; then nothing is open. */
int listener_bind(const struct address *at, const struct conn_tcp *tcp, int *fds, size_t count);
/* The same for one unix socket whose file has these permissions from its beginning (chmod(2)). A
 * file that nobody listens on is replaced. */
int listener_bind_path(const struct address *at, unsigned mode, int *fd);
/* The socket file that a bind has made; zero for TCP. Somebody else may replace it meanwhile, so it
 * is known by its inode (stat(2)). */
struct listener_path {
    dev_t device;
    ino_t inode;
};

/* Right after a successful listener_bind(). */
struct listener_path listener_path_of(const struct address *at);
/* Removes the socket file if it is still the one that was bound. */
void listener_unlink(const struct address *at, const struct listener_path *path);

struct listener {
    uv_poll_t poll;
    struct loop *loop; /* borrowed */
    int fd;            /* owned */
    bool open;
    /* A connected socket that the callee takes over. */
    void (*on_accept)(struct listener *l, int fd, const struct address *from);
    /* No descriptor or memory for another connection: the listener has paused, call
     * listener_resume() after a while. */
    void (*on_exhausted)(struct listener *l, int status);
    void (*on_closed)(struct listener *l);
};

/* Takes over fd; the callbacks are set by the caller before. 0 or a UV_* code (fd is closed). */
int listener_start(struct listener *l, struct loop *loop, int fd);
void listener_resume(struct listener *l);
/* Accepts what the kernel has queued already (closing a SO_REUSEPORT listener would reset it),
 * then closes. Idempotent. */
void listener_close(struct listener *l);
/* The same, but whoever is queued is another process' to accept. */
void listener_leave(struct listener *l);

#endif
