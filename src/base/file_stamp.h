/* What tells that a file is not the one of before: looked at by name and through symlinks, so that
 * a rename over it, a symlink turned elsewhere (Kubernetes' ..data) and a rewrite in place all
 * show. */
#ifndef ROUTER_BASE_FILE_STAMP_H
#define ROUTER_BASE_FILE_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>

struct file_stamp {
    struct stat stat; /* all zero: no file was looked at */
};

/* 0 or a negative errno, which leaves *s alone. */
int file_stamp_take(struct file_stamp *s, const char *path);
bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b);

#endif
