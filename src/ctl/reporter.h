/* Keeps the service manager informed (base/notify.h): ready once /readyz would say so, a line of
 * status, and the watchdog's beats, which stop when the control loop or the loop of any worker
 * does: a beat is a message that goes to each worker and comes back. Control thread only. */
#ifndef ROUTER_CTL_REPORTER_H
#define ROUTER_CTL_REPORTER_H

#include <stdbool.h>

struct control;
struct reporter;

/* NULL if nobody listens. The workers run, or will soon. */
struct reporter *reporter_new(struct control *c);
/* Around a reload; `taken`: what was read is in force. NULL is fine, as in the next one. */
void reporter_reloading(struct reporter *r);
void reporter_reloaded(struct reporter *r, bool taken);
/* Another process is the service from now on, and tells what there is to tell. */
void reporter_hand_over(struct reporter *r, int pid);
/* The drain has begun. */
void reporter_stopping(struct reporter *r);
/* No worker runs any more. Memory is freed from the loop's close callback. */
void reporter_end(struct reporter *r);

#endif
