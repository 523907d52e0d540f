/* Listing a worker's sessions for the control thread, a few at a time, so that no list of any
 * length keeps the loop: the place is kept in worker.listed between the messages. */
#ifndef ROUTER_CORE_SHOW_SESSIONS_H
#define ROUTER_CORE_SHOW_SESSIONS_H

struct message;
struct session;

/* struct message_sessions; see worker_inbox. */
void show_sessions(struct message *m, void *worker);
/* A session is being freed: the place is not there. */
void show_sessions_forget(const struct session *s);

#endif
