/* The first socket of an address is bound without SO_REUSEPORT and gets it afterwards: a bind
 * without it fails when anybody else holds the address, even another router of the same user, and
 * with it later sockets of ours may join. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "net/loop.h"

#define BACKLOG 4096

static int set_flag(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

static int bind_tcp(const struct address *at, bool first, int *out)
{
    int family = at->sa.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && family == AF_INET6) {
        rc = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, at->dual ? 0 : 1);
    }
    if (rc == 0 && !first) {
        rc = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (rc == 0 && bind(fd, &at->sa.any, at->len) != 0) {
        rc = -errno;
    }
    if (rc == 0 && first) {
        rc = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

/* ":port" on a machine without IPv6 means IPv4. */
static int bind_dual(const struct address *at, bool first, int *out)
{
    int rc = bind_tcp(at, first, out);
    if (rc != UV_EAFNOSUPPORT && rc != UV_EADDRNOTAVAIL) {
        return rc;
    }
    struct address v4 = {.len = sizeof v4.sa.v4};
    v4.sa.v4.sin_family = AF_INET;
    v4.sa.v4.sin_port = at->sa.v6.sin6_port;
    return bind_tcp(&v4, first, out);
}

/* A socket file that nobody listens on is left over from a crash and may go. */
static int remove_stale_path(const struct address *at)
{
    struct stat st;
    if (lstat(at->sa.path.sun_path, &st) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return UV_EEXIST;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = connect(fd, &at->sa.any, at->len) == 0 || errno != ECONNREFUSED ? UV_EADDRINUSE : 0;
    close(fd);
    return rc == 0 && unlink(at->sa.path.sun_path) != 0 ? -errno : rc;
}

static int bind_path(const struct address *at, int *out)
{
    int rc = remove_stale_path(at);
    if (rc != 0) {
        return rc;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (bind(fd, &at->sa.any, at->len) != 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

static int bind_one(const struct address *at, const int *fds, size_t i, int *out)
{
    if (at->sa.any.sa_family != AF_UNIX) {
        return at->dual ? bind_dual(at, i == 0, out) : bind_tcp(at, i == 0, out);
    }
    if (i == 0) {
        return bind_path(at, out);
    }
    *out = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    return *out >= 0 ? 0 : -errno;
}

int listener_bind(const struct address *at, const struct conn_tcp *tcp, int *fds, size_t count)
{
    size_t done = 0;
    int rc = 0;
    for (; done < count; done++) {
        rc = bind_one(at, fds, done, &fds[done]);
        if (rc != 0) {
            break;
        }
        conn_tune_listener(fds[done], at->sa.any.sa_family, tcp);
        if (listen(fds[done], BACKLOG) != 0) {
            rc = -errno;
            done++;
            break;
        }
    }
    if (rc != 0) {
        while (done > 0) {
            close(fds[--done]);
        }
    }
    return rc;
}

/* Of that very file, and not of one that a link, put there meanwhile, leads to. */
static int set_mode(const char *path, unsigned mode)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == mode) {
        return 0;
    }
    return fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
}

/* Linux makes the file with the mode of the socket, so that there is no moment in which others may
 * connect; what the umask took away is given afterwards. */
int listener_bind_path(const struct address *at, unsigned mode, int *fd)
{
    int rc = remove_stale_path(at);
    if (rc != 0) {
        return rc;
    }
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return -errno;
    }
    if (fchmod(*fd, mode) != 0 || bind(*fd, &at->sa.any, at->len) != 0) {
        rc = -errno;
    } else if (set_mode(at->sa.path.sun_path, mode) != 0 || listen(*fd, BACKLOG) != 0) {
        rc = -errno;
        unlink(at->sa.path.sun_path);
    }
    if (rc != 0) {
        close(*fd);
    }
    return rc;
}

struct listener_path listener_path_of(const struct address *at)
{
    struct stat st;
    if (at->sa.any.sa_family != AF_UNIX || lstat(at->sa.path.sun_path, &st) != 0) {
        return (struct listener_path){0};
    }
    return (struct listener_path){st.st_dev, st.st_ino};
}

void listener_unlink(const struct address *at, const struct listener_path *path)
{
    struct listener_path now = listener_path_of(at);
    if (path->inode != 0 && now.inode == path->inode && now.device == path->device) {
        unlink(at->sa.path.sun_path);
    }
}

/* One connection; false when there was none. */
static bool accept_one(struct listener *l)
{
    struct address from = {.len = sizeof from.sa};
    int fd = accept4(l->fd, &from.sa.any, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        l->on_accept(l, fd, &from);
        return true;
    }
    int rc = -errno;
    if (rc == UV_EMFILE || rc == UV_ENFILE || rc == UV_ENOMEM || rc == UV_ENOBUFS) {
        uv_poll_stop(&l->poll); /* level-triggered: it would spin */
        l->on_exhausted(l, rc);
    }
    return rc == UV_ECONNABORTED || rc == UV_EINTR;
}

/* One connection each turn: what is there already gets its turn too, and the common single
 * connection costs no second accept() that finds nothing. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct listener *l = container_of(poll, struct listener, poll);
    if (status == 0 && l->open) {
        accept_one(l);
    }
}

int listener_start(struct listener *l, struct loop *loop, int fd)
{
    l->loop = loop;
    l->fd = fd;
    int rc = uv_poll_init(&loop->uv, &l->poll, fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    l->open = true;
    listener_resume(l);
    return 0;
}

void listener_resume(struct listener *l)
{
    if (l->open) {
        uv_poll_start(&l->poll, UV_READABLE, on_readable);
    }
}

static void on_close(uv_handle_t *handle)
{
    struct listener *l = container_of(handle, struct listener, poll);
    l->on_closed(l);
}

void listener_close(struct listener *l)
{
    for (int i = 0; l->open && i < BACKLOG && accept_one(l); i++) {
    }
    listener_leave(l);
}

void listener_leave(struct listener *l)
{
    if (!l->open) {
        return;
    }
    l->open = false;
    uv_close((uv_handle_t *)&l->poll, on_close);
    close(l->fd);
}
