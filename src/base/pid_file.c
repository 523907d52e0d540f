#include "base/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the name still leads to the file that is open. */
static bool is_named(int fd, const char *path)
{
    struct stat open_one;
    struct stat named;
    return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

static void tell_holder(int fd, const char *path, char *why, size_t why_size)
{
    char text[24] = "";
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    text[len > 0 ? strspn(text, "0123456789") : 0] = '\0';
    snprintf(why, why_size, "%s is held by another router%s%s", path,
             text[0] != '\0' ? ", process " : "", text);
}

/* A file that whoever held it before has removed meanwhile is nobody's: then once more. */
static int lock(const char *path, int *fd)
{
    do {
        *fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (*fd < 0) {
            return -errno;
        }
        if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
            return errno == EWOULDBLOCK ? -EBUSY : -errno;
        }
        if (is_named(*fd, path)) {
            return 0;
        }
        close(*fd);
    } while (true);
}

int pid_file_write(int fd)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len ? 0 : -errno;
}

bool pid_file_inherit(struct pid_file *f, int fd, const char *path)
{
    bool same = path != NULL && is_named(fd, path);
    if (same) {
        *f = (struct pid_file){fd, path};
    }
    return same;
}

void pid_file_leave(struct pid_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = -1;
}

int pid_file_take(struct pid_file *f, const char *path, char *why, size_t why_size)
{
    *f = (struct pid_file){.fd = -1};
    if (path == NULL) {
        return 0;
    }
    int fd = -1;
    int rc = lock(path, &fd);
    if (rc == -EBUSY) {
        tell_holder(fd, path, why, why_size);
    } else if (rc == 0) {
        rc = pid_file_write(fd);
    }
    if (rc == 0) {
        *f = (struct pid_file){fd, path};
        return 0;
    }
    if (rc != -EBUSY) {
        snprintf(why, why_size, "cannot write the pid_file %s: %s", path, strerror(-rc));
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

void pid_file_remove(struct pid_file *f)
{
    if (f->fd < 0) {
        return;
    }
    if (is_named(f->fd, f->path) && unlink(f->path) != 0) {
        (void)!ftruncate(f->fd, 0);
    }
    close(f->fd);
    f->fd = -1;
}
