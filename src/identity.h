/* Who the running process is: its user and group, its process id's file, and what that user must
 * be able to do later: read again what the configuration names, open the log again, bind. */
#ifndef ROUTER_IDENTITY_H
#define ROUTER_IDENTITY_H

#include <stddef.h>

#include "base/pid_file.h"
#include "base/privileges.h"

struct config;

struct identity {
    struct privileges privileges;
    struct pid_file pid_file;
};

/* Before anything is bound: finds the user, locks the pid_file, or takes over
 * `inherited`, which another process has locked (-1 = none). 0, or a negative errno with one
 * line in `why`; identity_end() is to be called in both cases. */
int identity_begin(struct identity *id, const struct config *config, int inherited, char *why,
                   size_t why_size);
/* Everything is bound, no thread runs: becomes the user, for good. The same. */
int identity_settle(struct identity *id, const struct config *config, char *why, size_t why_size);
/* `id` is zeroed, or has begun. */
void identity_end(struct identity *id);

/* For `router -t`, which changes nothing: is there such a user, and which of the files could it not
 * read? Who is not root cannot tell, and is not asked. The same. */
int identity_check(const struct config *config, char *why, size_t why_size);

#endif
