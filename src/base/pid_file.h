/* The file with our process id. It is locked as long as we live (flock(2)), so that a second router
 * with the same file notices; a crash leaves no lock behind. */
#ifndef ROUTER_BASE_PID_FILE_H
#define ROUTER_BASE_PID_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct pid_file {
    int fd;           /* -1 = none */
    const char *path; /* borrowed */
};

/* Locks the file and writes our id into it. NULL: there is none. 0, or a negative errno with one
 * line in `why`; -EBUSY: another process holds it. */
int pid_file_take(struct pid_file *f, const char *path, char *why, size_t why_size);
/* The same file, which another process has locked and handed to us; our id is not in it yet. False:
 * `fd` is not what `path` leads to, and is left to the caller. */
bool pid_file_inherit(struct pid_file *f, int fd, const char *path);
/* Writes our id. 0 or a negative errno. */
int pid_file_write(int fd);
/* Leaves it to another process. */
void pid_file_leave(struct pid_file *f);
/* Removes it, or empties it where it cannot be removed, and lets go of it. */
void pid_file_remove(struct pid_file *f);

#endif
