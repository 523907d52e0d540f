/* Requests to cancel what a session does, brought to servers by connections of their own. Each
 * lasts for one message, on one worker, whether the client that asked for it stays or not. They are
 * outside of server_max_connections, because who waits for a place there often waits for what
 * somebody wants to cancel; CANCELS_MAX bounds them instead. */
#ifndef ROUTER_CORE_CANCEL_H
#define ROUTER_CORE_CANCEL_H

struct worker;
struct session;
struct deadline;

#define CANCELS_MAX 64 /* at once, on one worker; more are not delivered */
#define CANCEL_MS   5000

/* The client asked for it (LOGIN_CANCEL): delivers it, and ends the session when that is done. */
void cancel_begin(struct session *s);
void cancel_forget(struct session *s); /* the session ends; its requests go on */
void cancel_on_late(struct deadline *d);
void cancel_stop(struct worker *w); /* ends all of them */

#endif
