/* Whom the process runs as. A router that root starts binds its addresses and then becomes a user
 * who may nothing else (setresuid(2), capabilities(7)); before threads start, because capabilities
 * belong to threads and are inherited by those that are begun later. */
#ifndef ROUTER_BASE_PRIVILEGES_H
#define ROUTER_BASE_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PRIVILEGES_GROUPS_MAX 64

struct privileges {
    bool wanted; /* somebody else than whoever started us */
    uid_t uid;
    gid_t gid;
    gid_t groups[PRIVILEGES_GROUPS_MAX]; /* the supplementary ones */
    int group_count;
    char name[64]; /* of the user, or of the group if it is only that */
};

/* Looks both up, by name or number; NULL: stay what we are, and the user's own group. 0, or a
 * negative errno with one line in `why`. Only root may become somebody else: -EPERM. */
int privileges_find(struct privileges *p, const char *user, const char *group, char *why,
                    size_t why_size);
/* For good. `low_ports`: addresses with ports below 1024 may still be bound afterwards, also by a
 * program that takes our place (execve(2)). 0, or a negative errno with one line in `why`. */
int privileges_drop(const struct privileges *p, bool low_ports, char *why, size_t why_size);
/* Whether they could read a file: tried, as them, on this thread. 0 or a negative errno. */
int privileges_try_read(const struct privileges *p, const char *path);
/* Makes them the owner of a socket or a file that we made; other things are left alone. */
void privileges_give(const struct privileges *p, const char *path);

/* Neither this process nor what it executes can gain anything by set-user-ID bits. */
void privileges_gain_none(void);
/* From now on there is no core file, and other processes of our user cannot look into this one
 * (PR_SET_DUMPABLE, proc(5)). To be called again where the user has changed: setresuid(2) sets it
 * anew. */
void privileges_hide_memory(void);

#endif
