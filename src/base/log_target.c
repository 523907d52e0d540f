/* Descriptors that others share are not made non-blocking, because O_NONBLOCK belongs to what is
 * open and not to us: the shell that started us would have it on its terminal. A pipe or a terminal
 * is opened once more instead, a socket is told with each line. */
#include "base/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_writer.h"
#include "base/mem.h"

#define SYSLOG_PATH "unix:/dev/log"
#define FILE_MODE   0640

static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

int log_target_parse(struct log_target *t, const char *text)
{
    const char *rest;
    *t = (struct log_target){.fd = -1};
    if (strcmp(text, "stderr") == 0) {
        t->kind = LOG_TO_STDERR;
        return 0;
    }
    if ((rest = after(text, "file:")) != NULL) {
        t->kind = LOG_TO_FILE;
        t->path = *rest != '\0' ? xstrdup(rest) : NULL;
        return t->path != NULL ? 0 : -EINVAL;
    }
    t->kind = LOG_TO_SYSLOG;
    rest = strcmp(text, "syslog") == 0 ? SYSLOG_PATH : after(text, "syslog:");
    /* ":514" is every address of this machine: nobody to send to. */
    return rest != NULL && *rest != ':' ? address_parse(&t->to, rest) : -EINVAL;
}

bool log_target_equal(const struct log_target *a, const struct log_target *b)
{
    return a->kind == b->kind && (a->path == NULL || strcmp(a->path, b->path) == 0) &&
           (a->kind != LOG_TO_SYSLOG || address_equal(&a->to, &b->to));
}

static void open_stderr(struct log_target *t)
{
    struct stat about;
    t->fd = STDERR_FILENO;
    if (fstat(t->fd, &about) != 0 || S_ISREG(about.st_mode)) {
        return;
    }
    if (S_ISSOCK(about.st_mode)) {
        t->is_socket = true;
        return;
    }
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    t->owned = fd >= 0;
    t->may_block = fd < 0; /* no /proc, or another user's pipe */
    t->fd = fd >= 0 ? fd : t->fd;
}

static int open_socket(const struct log_target *t)
{
    int fd = socket(t->to.sa.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 ? fd : -errno;
}

/* That nobody listens at a path is said when somebody is there to read it. Later it may come and
 * go. */
static int check_syslog(const struct log_target *t)
{
    if (t->to.sa.any.sa_family != AF_UNIX) {
        return 0;
    }
    int probe = open_socket(t);
    if (probe < 0) {
        return probe;
    }
    int rc = connect(probe, &t->to.sa.any, t->to.len) == 0 ? 0 : -errno;
    close(probe);
    return rc;
}

static int check_file(const struct log_target *t)
{
    int fd = open(t->path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    if (errno != ENOENT) {
        return -errno;
    }
    char *copy = xstrdup(t->path);
    int rc = access(dirname(copy), W_OK | X_OK) == 0 ? 0 : -errno;
    free(copy);
    return rc;
}

int log_target_check(const struct log_target *t)
{
    return t->kind == LOG_TO_SYSLOG ? check_syslog(t) : t->kind == LOG_TO_FILE ? check_file(t) : 0;
}

static int open_syslog(struct log_target *t)
{
    t->fd = open_socket(t);
    t->owned = t->fd >= 0;
    return t->owned ? check_syslog(t) : t->fd;
}

/* Non-blocking is for a path that is a named pipe. */
static int open_file(struct log_target *t, void (*lost)(uint64_t lines))
{
    int file =
        open(t->path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);
    if (file < 0) {
        return -errno;
    }
    t->fd = log_writer_start(file, lost);
    t->owned = t->fd >= 0;
    if (!t->owned) {
        close(file);
    }
    return t->owned ? 0 : t->fd;
}

int log_target_open(struct log_target *t, void (*lost)(uint64_t lines))
{
    switch (t->kind) {
    case LOG_TO_STDERR:
        open_stderr(t);
        return 0;
    case LOG_TO_SYSLOG:
        return open_syslog(t);
    case LOG_TO_FILE:
        break;
    }
    return open_file(t, lost);
}

int log_target_again(struct log_target *t, const struct log_target *before,
                     void (*lost)(uint64_t lines))
{
    *t = (struct log_target){
        .kind = before->kind,
        .fd = -1,
        .path = before->path != NULL ? xstrdup(before->path) : NULL,
        .to = before->to,
    };
    int rc = log_target_open(t, lost);
    if (rc != 0) {
        log_target_release(t);
    }
    return rc;
}

static bool has_room(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static ssize_t write_once(const struct log_target *t, const char *line, size_t len)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (t->kind == LOG_TO_SYSLOG) {
        return sendto(t->fd, line, len, flags, &t->to.sa.any, t->to.len);
    }
    if (t->is_socket) {
        return send(t->fd, line, len, flags);
    }
    if (t->may_block && !has_room(t->fd)) {
        errno = EAGAIN;
        return -1;
    }
    return write(t->fd, line, len);
}

size_t log_target_write(const struct log_target *t, const char *line, size_t len)
{
    ssize_t wrote;
    do {
        wrote = write_once(t, line, len);
    } while (wrote < 0 && errno == EINTR);
    return wrote > 0 ? (size_t)wrote : 0;
}

void log_target_release(struct log_target *t)
{
    if (t->owned) {
        close(t->fd);
    }
    free(t->path);
    *t = (struct log_target){.fd = -1};
}
