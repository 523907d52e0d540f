/* Addresses from which logins fail are slowed. (The table itself is being written; nobody is slowed
 * yet.) */
#ifndef ROUTER_MODEL_LOGIN_GUARD_H
#define ROUTER_MODEL_LOGIN_GUARD_H

/* How a login came to nothing. */
enum login_failure {
    LOGIN_FAILED_LEFT,   /* the client went in the midst of it */
    LOGIN_FAILED_LATE,   /* it did not go on */
    LOGIN_FAILED_DENIED, /* the server refused it */
    LOGIN_FAILED_BROKEN, /* it broke the protocol */
};

#define login_guard_delay(g, key, hash, now)       ((uint64_t)((void)(now), 0))
#define login_guard_failed(g, key, hash, now, how) ((void)(how))
#define login_guard_succeeded(g, key, hash, now)   ((void)0)

#endif
