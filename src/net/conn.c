/* How a conn lives: conn_open() or conn_connect() initialise the libuv handle, so uv_close() is the
 * only way out from then on. Reads go through the loop's one receive buffer. A write that the
 * kernel does not take whole leaves one copied chunk, which its own callback frees, always: libuv
 * calls it with UV_ECANCELED before the close callback if the conn is closed first. FIN is sent by
 * shutdown(2) once libuv's queue is empty, so that no shutdown request can stand in the way of a
 * reset (uv_tcp_close_reset() is EINVAL then). */
#include "net/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "net/conn_send.h"
#include "net/loop.h"

/* What the kernel did not take at once. */
struct chunk {
    uv_write_t request;
    struct conn *conn; /* alive: its close callback comes after the chunk's */
    char data[];
};

struct connecting {
    uv_connect_t request;
    struct conn *conn;
};

static void set_option(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof value); /* best effort: the session works without */
}

static void tune(int fd, const struct conn_tcp *tcp)
{
    if (tcp->keepalive_ms > 0) {
        int idle_s = (int)((tcp->keepalive_ms + 999) / 1000);
        int interval_s = idle_s / 3 > 0 ? idle_s / 3 : 1;
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    }
    if (tcp->user_timeout_ms > 0) {
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)tcp->user_timeout_ms);
    }
}

void conn_tune(struct conn *c, const struct conn_tcp *tcp)
{
    if (c->open && !c->path) {
        tune(c->fd, tcp);
    }
}

void conn_tune_listener(int fd, int family, const struct conn_tcp *tcp)
{
    if (family != AF_UNIX) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        tune(fd, tcp);
    }
}

/* Reading ----------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct conn *c = container_of(handle, struct conn, uv);
    assert(!c->loop->receiving);
    c->loop->receiving = true;
    *out = uv_buf_init(c->loop->receive, sizeof c->loop->receive);
}

/* When a reset comes together with the last bytes, libuv 1.44 infers UV_EOF from POLLHUP without
 * reading once more; such an EOF has no buffer, and the socket still knows better. */
static int reason_of_eof(const struct conn *c, const uv_buf_t *buf)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (buf->base == NULL) {
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    }
    return error == 0 ? UV_EOF : -error;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = container_of(stream, struct conn, uv);
    if (LIKELY(n > 0)) {
        if (LIKELY(c->tls == NULL)) {
            c->ops->on_data(c, buf->base, (size_t)n);
        } else {
            conn_tls_data(c, buf->base, (size_t)n);
        }
    }
    c->loop->receiving = false;
    if (LIKELY(n >= 0)) {
        return;
    }
    c->reading = false;
    int why = n == UV_EOF ? reason_of_eof(c, buf) : (int)n;
    if (why == UV_EOF && c->tls != NULL) {
        conn_tls_eof(c);
    } else if (why == UV_EOF) {
        c->eof = true;
        c->ops->on_eof(c);
    } else {
        c->ops->on_error(c, why);
    }
}

void conn_start(struct conn *c)
{
    loop_assert(c->loop);
    if (!c->open || c->reading) {
        return;
    }
    c->reading = true;
    if (c->pauses == 0) {
        uv_read_start((uv_stream_t *)&c->uv, on_alloc, on_read);
    }
}

void conn_pause(struct conn *c, enum conn_pause why)
{
    if (c->open && c->reading && c->pauses == 0) {
        uv_read_stop((uv_stream_t *)&c->uv);
    }
    c->pauses |= (uint8_t)why;
}

void conn_resume(struct conn *c, enum conn_pause why)
{
    bool paused = c->pauses != 0;
    c->pauses &= (uint8_t)~why;
    if (c->open && c->reading && paused && c->pauses == 0) {
        uv_read_start((uv_stream_t *)&c->uv, on_alloc, on_read);
    }
}

/* Writing ----------------------------------------------------------------------------------- */

size_t conn_queued(const struct conn *c)
{
    return c->open ? uv_stream_get_write_queue_size((const uv_stream_t *)&c->uv) : 0;
}

static void send_fin(struct conn *c)
{
    if (!c->finished) {
        c->finished = true;
        shutdown(c->fd, SHUT_WR); /* ENOTCONN after a reset: reading will tell */
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct chunk *chunk = container_of(request, struct chunk, request);
    struct conn *c = chunk->conn;
    free(chunk);
    if (!c->open) {
        return;
    }
    if (status != 0) {
        c->ops->on_error(c, status);
    } else if (conn_queued(c) == 0) {
        if (c->finish_wanted) {
            send_fin(c);
        }
        if (c->ops->on_drained != NULL && (c->tls == NULL || c->secured)) {
            c->ops->on_drained(c);
        }
    }
}

static int queue_rest(struct conn *c, const char *data, size_t len)
{
    struct chunk *chunk = malloc(sizeof *chunk + len);
    if (chunk == NULL) {
        return UV_ENOMEM;
    }
    chunk->conn = c;
    memcpy(chunk->data, data, len);
    uv_buf_t buf = uv_buf_init(chunk->data, (unsigned)len);
    int rc = uv_write(&chunk->request, (uv_stream_t *)&c->uv, &buf, 1, on_written);
    if (rc != 0) {
        free(chunk);
    }
    return rc;
}

/* uv_try_write() would do the same by write(2), which costs a relay 3 % more than send(2). */
static ssize_t send_now(struct conn *c, const char *data, size_t len, int flags)
{
    if (conn_queued(c) > 0) {
        return 0; /* what is queued goes first */
    }
    ssize_t sent = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL | flags);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    return sent;
}

/* Inline, because a call more for each write is seen in what a relay costs. */
static inline int send_or_queue(struct conn *c, const char *data, size_t len, int flags)
{
    ssize_t sent = send_now(c, data, len, flags);
    if (LIKELY(sent == (ssize_t)len)) {
        return 0;
    }
    return sent < 0 ? (int)sent : queue_rest(c, data + sent, len - (size_t)sent);
}

int conn_send(struct conn *c, const char *data, size_t len, bool more)
{
    return send_or_queue(c, data, len, more ? MSG_MORE : 0);
}

int conn_write(struct conn *c, const char *data, size_t len)
{
    loop_assert(c->loop);
    if (UNLIKELY(!c->open || c->finish_wanted || c->finished)) {
        return UV_EPIPE;
    }
    int flags = UNLIKELY(c->more) ? MSG_MORE : 0;
    c->more = false;
    return LIKELY(c->tls == NULL) ? send_or_queue(c, data, len, flags)
                                  : conn_tls_write(c, data, len);
}

void conn_finish(struct conn *c)
{
    if (!c->open || c->finish_wanted) {
        return;
    }
    if (c->tls != NULL) {
        conn_tls_finish(c);
    }
    c->finish_wanted = true;
    if (conn_queued(c) == 0) {
        send_fin(c);
    }
}

/* Beginning and end ------------------------------------------------------------------------- */

static void begin(struct conn *c, struct loop *l, const struct conn_ops *ops)
{
    loop_assert(l);
    c->loop = l;
    c->ops = ops;
    c->pauses = 0;
    c->open = true;
    c->reading = false;
    c->eof = false;
    c->finish_wanted = false;
    c->finished = false;
    c->fd = -1;
    c->more = false;
    c->path = false;
    c->tls = NULL;
    c->secured = false;
    c->abrupt = false;
    conn_tls_begin(c);
}

static int failed_at_once(struct conn *c, int rc)
{
    conn_close(c);
    return rc;
}

int conn_open(struct conn *c, struct loop *l, const struct conn_ops *ops, int fd)
{
    begin(c, l, ops);
    uv_tcp_init(&l->uv, &c->uv);
    int rc = uv_tcp_open(&c->uv, fd);
    if (rc != 0) {
        close(fd);
        return failed_at_once(c, rc);
    }
    c->fd = fd;
    return 0;
}

static void on_connect(uv_connect_t *request, int status)
{
    struct connecting *connecting = container_of(request, struct connecting, request);
    struct conn *c = connecting->conn;
    free(connecting);
    if (!c->open) {
        return;
    }
    if (status != 0) {
        c->ops->on_error(c, status);
    } else {
        c->ops->on_connected(c);
    }
}

static int connect_tcp(struct conn *c, const struct address *to, const struct conn_tcp *tcp)
{
    uv_fileno((const uv_handle_t *)&c->uv, &c->fd);
    set_option(c->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (tcp != NULL) {
        tune(c->fd, tcp);
    }
    struct connecting *connecting = malloc(sizeof *connecting);
    if (connecting == NULL) {
        return UV_ENOMEM;
    }
    connecting->conn = c;
    int rc = uv_tcp_connect(&connecting->request, &c->uv, &to->sa.any, on_connect);
    if (rc != 0) {
        free(connecting);
        return rc;
    }
    conn_start(c); /* now, because a second change of what is watched costs a system call more */
    return CONN_PENDING;
}

/* unix(7): a connect either succeeds at once or fails, EAGAIN if the backlog is full. */
static int connect_path(struct conn *c, const struct address *to)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, &to->sa.any, to->len) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    int rc = uv_tcp_open(&c->uv, fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    c->fd = fd;
    c->path = true;
    conn_start(c);
    return CONN_CONNECTED;
}

int conn_connect(struct conn *c, struct loop *l, const struct conn_ops *ops,
                 const struct address *to, const struct conn_tcp *tcp)
{
    begin(c, l, ops);
    int family = to->sa.any.sa_family;
    int rc = uv_tcp_init_ex(&l->uv, &c->uv, family == AF_UNIX ? AF_UNSPEC : (unsigned)family);
    if (rc != 0) {
        uv_tcp_init(&l->uv, &c->uv); /* cannot fail; so that closing is always the same */
        return failed_at_once(c, rc);
    }
    rc = family == AF_UNIX ? connect_path(c, to) : connect_tcp(c, to, tcp);
    return rc < 0 ? failed_at_once(c, rc) : rc;
}

void conn_cut(struct conn *c)
{
    if (c->open) {
        c->finish_wanted = true;
        if (conn_queued(c) == 0) {
            send_fin(c);
        }
    }
}

bool conn_peer(const struct conn *c, struct address *out)
{
    *out = (struct address){.len = sizeof out->sa};
    return c->open && getpeername(c->fd, &out->sa.any, &out->len) == 0;
}

bool conn_own(const struct conn *c, struct address *out)
{
    *out = (struct address){.len = sizeof out->sa};
    return c->open && getsockname(c->fd, &out->sa.any, &out->len) == 0;
}

bool conn_peer_left(const struct conn *c)
{
    if (!c->open) {
        return true;
    }
    struct pollfd look = {.fd = c->fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void on_close(uv_handle_t *handle)
{
    struct conn *c = container_of(handle, struct conn, uv);
    if (c->tls != NULL) {
        conn_tls_release(c);
    }
    c->ops->on_closed(c);
}

void conn_close(struct conn *c)
{
    if (c->open) {
        c->open = false;
        uv_close((uv_handle_t *)&c->uv, on_close);
    }
}

void conn_reset(struct conn *c)
{
    if (c->open) {
        c->open = false;
        if (uv_tcp_close_reset(&c->uv, on_close) != 0) {
            uv_close((uv_handle_t *)&c->uv, on_close);
        }
    }
}
