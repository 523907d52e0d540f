/* What is counted when a session begins, has its server, and ends: the numbers that more than one
 * of its steps lead to. What belongs to a single step is counted there. */
#ifndef ROUTER_CORE_ACCOUNT_H
#define ROUTER_CORE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

struct session;

/* It was admitted. */
void account_begin(struct session *s);
/* balance has chosen it, of those in its backend. */
void account_chosen(struct session *s, size_t server);
/* A server is begun to be connected to. */
void account_connect(struct session *s);
/* The server is ready, and the times until then are known. */
void account_ready(struct session *s);
/* A connect failed: was it the last one? */
void account_failed(struct session *s, bool last);
/* session_close(); its server is still there if it has one. */
void account_end(struct session *s);

#endif
