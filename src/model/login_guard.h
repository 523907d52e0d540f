/* Who fails to log in, and how long the next login from there is to wait for that: one table for
 * all workers, of a size that no number of clients can change. For protocols whose clients the
 * router answers before a server does (pool_mode of MySQL), so that those who never log in, or try
 * passwords, are slowed before they cost a server connection. Any thread may call these.
 *
 * An address has a bucket that its failures fill and time empties. All clients of a sidecar have
 * the same address: so a user that logged in from there lately has a bucket of its own, and only
 * its own failures fill it; each success takes one of them back.
 *
 * A login that its client does not finish holds a server connection meanwhile. So of those users
 * that did not log in from there lately only a few may be at it at once, the fewer the more failed;
 * and who does not go on in time has failed as often as seconds went by, if it held one. */
#ifndef ROUTER_MODEL_LOGIN_GUARD_H
#define ROUTER_MODEL_LOGIN_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

#define LOGIN_GUARD_DELAY_MAX_MS 5000
#define LOGIN_GUARD_NOBODY       0 /* the user of a client that named none */

struct login_guard;

enum login_failure {
    LOGIN_FAILED_LEFT,   /* in the midst of it */
    LOGIN_FAILED_LATE,   /* it did not go on in time */
    LOGIN_FAILED_DENIED, /* the server said no */
    LOGIN_FAILED_BROKEN, /* it does not speak the protocol */
    LOGIN_FAILURES,
};

enum login_turn {
    LOGIN_TURN_FREE,    /* it may go to a server: its user is known there */
    LOGIN_TURN_COUNTED, /* the same, and login_guard_leave() is to follow */
    LOGIN_TURN_WAITS,   /* others from there have to end first */
};

struct login_guard *login_guard_new(void);    /* never NULL: made at the start */
void login_guard_free(struct login_guard *g); /* NULL is fine */

/* A user's name, as the others here want it; never LOGIN_GUARD_NOBODY. */
uint64_t login_guard_user(const struct login_guard *g, const void *name, size_t len);
/* How many milliseconds the login of this user is to wait; 0: none. Counts those that are. */
uint64_t login_guard_delay(struct login_guard *g, const struct client_key *key, uint64_t user,
                           uint64_t now_ms);
/* Its login is to go to a server, where all clients together have `places` (0: any number).
 * `again`: it has waited; those that wait are counted once. */
enum login_turn login_guard_enter(struct login_guard *g, const struct client_key *key,
                                  uint64_t user, unsigned places, uint64_t now_ms, bool again);
void login_guard_leave(struct login_guard *g, const struct client_key *key);
/* Its last login, or one of the last ones, has failed: the next one may as well. */
bool login_guard_has_failed(struct login_guard *g, const struct client_key *key, uint64_t user,
                            uint64_t now_ms);
void login_guard_failed(struct login_guard *g, const struct client_key *key, uint64_t user,
                        uint64_t now_ms, enum login_failure kind);
void login_guard_succeeded(struct login_guard *g, const struct client_key *key, uint64_t user,
                           uint64_t now_ms);

/* For people. */
struct login_guard_row {
    struct client_key key;
    uint64_t failures[LOGIN_FAILURES];
    uint64_t slowed;   /* logins that were told to wait */
    uint64_t ago_ms;   /* since the last failure */
    uint64_t delay_ms; /* of the next login of a user that is not known there */
};

/* Of all addresses, without telling which. */
struct login_guard_total {
    uint64_t failures[LOGIN_FAILURES];
    unsigned addresses; /* from where logins failed within a minute */
};

extern const char *const login_failure_words[LOGIN_FAILURES]; /* "left" ... */
/* NULL: nobody has. */
void login_guard_total(struct login_guard *g, struct login_guard_total *total, uint64_t now_ms);
/* The addresses with the most failures, the worst first: at most `max`. Returns how many. */
size_t login_guard_list(struct login_guard *g, struct login_guard_row *rows, size_t max,
                        uint64_t now_ms);

#endif
