/* Another configuration takes the place of the running one, in the same process and under all
 * sessions: from the file again (control_reload), or derived from the running one because a name
 * has another address or an operator wants another weight.
 *
 * First everything that can fail: certificates are read, addresses bound. Then control's own state
 * follows, and the next topology takes the configuration to the workers (core/adopt.h). When all
 * have acknowledged it, what only the old one needed is freed. */
#ifndef ROUTER_CTL_APPLY_H
#define ROUTER_CTL_APPLY_H

#include <stdbool.h>
#include <stddef.h>

struct change;
struct config;
struct control;
struct text;

#define APPLY_WHY_MAX 512

/* `next` (taken over, also on failure) is from a file, or derived (model/config_follow.h), and
 * checked. 0, or a UV_* code with one line in `why`: then the running one stays in force. */
int control_apply(struct control *c, struct config *next, char why[APPLY_WHY_MAX]);

/* Reads control.config_path again. What is wrong is said in `errors`, a line each, and logged; 0 or
 * a UV_* code. */
int control_reload(struct control *c, struct text *errors);
/* The same for a signal: now, or as soon as the changes before have settled. */
void control_reload_soon(struct control *c);
void control_reload_due(struct control *c); /* if it was put off, and may be now */
/* So many configurations are still on their way out that another one has to wait: what each leaves
 * behind is kept for some seconds. */
bool apply_is_busy(const struct control *c);

/* For fence.c: what a worker is told with the topology that is about to be sent; NULL if it has
 * this configuration already. */
struct change *apply_change(struct control *c, unsigned worker);
void apply_sent(struct control *c); /* all have been told */
/* All are to be told again, with the next topology: of sockets that they have not. */
void apply_resend(struct control *c);
/* A worker has acknowledged a topology, or time has passed: frees what nobody needs any more. */
void apply_clean(struct control *c);
/* At the end, when no worker runs and the loop has ended. */
void apply_release(struct control *c);

#endif
