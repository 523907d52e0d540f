/* What signals ask of a running router: SIGTERM and SIGINT to end (the second one at once), SIGHUP
 * to read its configuration again, SIGUSR1 to open its log again, SIGUSR2 to let another process
 * take over. */
#ifndef ROUTER_SIGNALS_H
#define ROUTER_SIGNALS_H

#include <stdbool.h>
#include <uv.h>

#define SIGNALS_COUNT 5

struct control;

struct signals {
    uv_signal_t handles[SIGNALS_COUNT];
    bool ending; /* one has asked for the end */
};

/* On the control loop, which they do not keep alive. */
void signals_watch(struct signals *s, struct control *c);
/* From now on all of them are ignored: the end has begun, and a late one would spoil it. */
void signals_ignore(struct signals *s);

#endif
