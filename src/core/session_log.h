/* The line that a session leaves in the log when it ends (router.log_sessions): what it takes from
 * the beginning of a session until then, and how it is told, in HAProxy's letters too. */
#ifndef ROUTER_CORE_SESSION_LOG_H
#define ROUTER_CORE_SESSION_LOG_H

#include <stddef.h>
#include <stdint.h>

struct session;
struct address;

/* Only of sessions that may be logged, and freed with them: who is to be logged must be known from
 * the beginning, because a socket that was reset does not tell its client's address any more. */
struct session_note;

/* The client connects. Without memory its line will know less. */
void session_log_begin(struct session *s, const struct address *from);
/* A PROXY header names another client. */
void session_log_client(struct session *s, const struct address *from);
/* It joins the queue, behind so many others. */
void session_log_queued(struct session *s, size_t others);
/* It is sent to this server of its backend. */
void session_log_sent(struct session *s, size_t server);
/* It is over: session.end says why, session.ended_in where. */
void session_log_end(struct session *s);

#endif
