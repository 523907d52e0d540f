/* A password that may be rotated: the configuration's, or what its file says now. The file is
 * looked at once a second and after a login was refused (Kubernetes swaps symlinks, so it is looked
 * at by name); one that cannot be read again keeps its old value, and that is told. */
#ifndef ROUTER_CTL_LIVE_SECRET_H
#define ROUTER_CTL_LIVE_SECRET_H

#include <stdbool.h>

#include "base/file_stamp.h"

struct live_secret {
    const char *path;        /* borrowed; NULL = no file, it never changes */
    const char *value;       /* what to log in with; NULL = none */
    char *read;              /* owned: what was read since the start, if anything */
    struct file_stamp stamp; /* of the file when it was looked at last */
    bool unreadable;         /* that was told */
};

/* `value` is what the configuration holds. */
void live_secret_init(struct live_secret *s, const char *path, const char *value);
/* The same secret in another configuration: what was read from its file since stays in force. */
void live_secret_adopt(struct live_secret *s, const char *path, const char *value);
void live_secret_release(struct live_secret *s); /* wipes */
/* Looks at the file. True if the value changed. `whose` is for the log ("backend=redis"). */
bool live_secret_refresh(struct live_secret *s, const char *whose);

#endif
