#include "base/file_stamp.h"

#include <errno.h>

int file_stamp_take(struct file_stamp *s, const char *path)
{
    struct stat now;
    if (stat(path, &now) != 0) {
        return -errno;
    }
    s->stat = now;
    return 0;
}

bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->stat.st_dev == b->stat.st_dev && a->stat.st_ino == b->stat.st_ino &&
           a->stat.st_size == b->stat.st_size && a->stat.st_mtim.tv_sec == b->stat.st_mtim.tv_sec &&
           a->stat.st_mtim.tv_nsec == b->stat.st_mtim.tv_nsec;
}
