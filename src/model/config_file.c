/* Reads a file whole and keeps no copy: it may hold secrets, so stdio's hidden buffers are out. */
#include "model/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

static int read_all(int fd, char *data, size_t size, size_t *len)
{
    *len = 0;
    while (*len < size) {
        ssize_t n = read(fd, data + *len, size - *len);
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int config_read_file(const char *path, size_t max, char **data, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    *data = xcalloc(1, max + 2); /* one byte more than allowed, and the NUL */
    int rc = read_all(fd, *data, max + 1, len);
    close(fd);
    if (rc == 0 && *len > max) {
        rc = -EFBIG;
    }
    if (rc != 0) {
        wipe(*data, max + 2);
        free(*data);
        *data = NULL;
    }
    return rc;
}
