/* Logins that a client left behind, finished in its place where the server would hold a login that
 * breaks off against our address (login_dialogue.finish). A finisher owns the connection, keeps its
 * place in the server's cap and one of router.max_sessions, and lives on the worker by itself until
 * the server has said yes or no: it never sends anything but a login, and leaves. A server that
 * says nothing is waited for, because what is cut while it is stopped counts when it goes on;
 * bounded in number and by FINISH_MS. */
#ifndef ROUTER_CORE_FINISHER_H
#define ROUTER_CORE_FINISHER_H

#include <stdbool.h>
#include <stddef.h>

struct worker;
struct session;
struct server_link;
struct deadline;
struct list;

#define FINISH_MS      600000
#define FINISH_SOON_MS 2000 /* when the router is to end */
#define FINISHERS_MAX  256  /* of one server, on one worker */
#define FINISH_BYTES   65536

/* Takes over the server's connection of a session in its login. `last`: the session ends now, and
 * leaves its place among the sessions. false: it need not, or cannot; the caller closes. */
bool finisher_adopt(struct session *s, struct server_link *link, bool last);
void finisher_on_late(struct deadline *d);
/* The router drains, or stops: none gets longer than FINISH_SOON_MS from now on. */
void finisher_hurry(struct worker *w);
bool finisher_any(const struct worker *w);

/* For core/adopt.c: the connection of the one that is at `node` of worker_server.finishers, and its
 * backend. */
struct server_link *finisher_link(struct list *node, size_t *backend);

#endif
