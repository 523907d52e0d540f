/* What servers of Redis answer, as far as checks ask. */
#ifndef ROUTER_IMPORT_CHECK_REDIS_H
#define ROUTER_IMPORT_CHECK_REDIS_H

#include "import/check_internal.h"

enum redis_role {
    REDIS_MASTER,
    REDIS_SLAVE,
    REDIS_ACTIVE,  /* KeyDB's active-replica: takes writes */
    REDIS_REPLICA, /* Dragonfly's word for a replica */
    REDIS_ROLES
};

/* Adds what a server in this role would answer; nothing where that is not known. */
void redis_answer(const struct command *c, enum redis_role role, struct text *out);
/* A command that replicas refuse. */
bool redis_writes(const struct command *c);

#endif
