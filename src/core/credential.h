/* Whom a client of a pool has proved to be, to the server: a user and the keyed hash of a password.
 * The password itself is not kept. The router can log in again as one of them only where it knows
 * the password from its own configuration. */
#ifndef ROUTER_CORE_CREDENTIAL_H
#define ROUTER_CORE_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define CREDENTIAL_HASH_BYTES 32

struct worker;

struct credential {
    struct list node; /* in worker.credentials */
    unsigned references;
    unsigned clients; /* that have proved to be this */
    unsigned judged;  /* those of whom that is being asked, on a link that others share */
    unsigned char hash[CREDENTIAL_HASH_BYTES];
    size_t user_len;
    char user[]; /* not ended; empty: none was named ("default") */
};

/* The one there is, or a new one; one more reference. NULL: out of memory. */
struct credential *credential_get(struct worker *w, const char *user, size_t user_len,
                                  const char *password, size_t password_len);
struct credential *credential_ref(struct credential *c); /* NULL is fine, here and below */
void credential_unref(struct credential *c);

/* Whether the router knows the password by its backend's probe_user and probe_password. Nobody
 * (NULL) needs none. */
bool credential_is_ours(struct worker *w, size_t backend, const struct credential *c);

#endif
