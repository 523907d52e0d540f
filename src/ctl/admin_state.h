/* What an operator has said about a server, as HAProxy's users say it. It stays until the operator
 * says otherwise: it outlives changes of the configuration, not the process.
 *
 * A server that is not ready gets no new sessions; those that live go on, and it is probed as ever.
 * Where there are roles its claim to be the primary does not count, so that taking the primary out
 * is a planned fence: writes wait, living sessions stand still, and another server that claims
 * succeeds it (election.h, `barred`). Until one does, they stand still for as long as a client may
 * wait (queue_timeout); then they are reset. */
#ifndef ROUTER_CTL_ADMIN_STATE_H
#define ROUTER_CTL_ADMIN_STATE_H

enum admin_state {
    ADMIN_READY, /* the probes decide */
    ADMIN_DRAIN,
    ADMIN_MAINT, /* the same as drain, but for the word */
    ADMIN_STATE_COUNT,
};

/* "ready", "drain", "maint" */
extern const char *const admin_state_names[ADMIN_STATE_COUNT];

#endif
