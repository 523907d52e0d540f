/* "show sess": the sessions of all workers as text. They live on the workers, so each is asked in
 * turn, for a part of its list at a time; one list is made at a time, others wait for it. Control
 * thread only. */
#ifndef ROUTER_CTL_LIST_SESSIONS_H
#define ROUTER_CTL_LIST_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSIONS_LISTED_MAX 4096 /* of one list; how many more there are is told */

struct command_call;

/* Which ones, and how. */
struct sessions_wanted {
    uint64_t id;    /* 0 = any */
    size_t backend; /* or MESSAGE_ANY */
    size_t server;  /* in it, or MESSAGE_ANY */
    bool whole;     /* all that is known of each */
};

/* The answer to this command, which comes later. */
void list_sessions(struct command_call *call, const struct sessions_wanted *wanted);

#endif
