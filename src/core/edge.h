/* The client's edge: what may stand between the accept and the session's own protocol. A header of
 * the PROXY protocol that says who the client is, the client hello that says where it wants to go,
 * and the TLS handshake, in this order and each only where the frontend has it:
 *
 *   NEW -> PROXY -> HELLO -> SHAKE -> as a session without an edge
 *
 * One deadline, handshake_timeout from the accept on, covers all of it. Until a whole client hello
 * is there, a client costs what it has sent; the handshakes under way are counted (max_handshakes),
 * and whoever comes later waits for its turn. A handshake whose client does not go on for
 * EDGE_STALL_MS loses its turn to the first who waits, so that who stalls cannot keep others out.
 *
 * A refusal by a cap is said when the client can understand it, after the handshake. */
#ifndef ROUTER_CORE_EDGE_H
#define ROUTER_CORE_EDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "core/admission.h"

struct deadline;
struct session;
struct worker;
struct config;
struct frontend_config;

#define EDGE_STALL_MS 2000 /* a lost segment comes again within one or two seconds */
#define EDGE_TURN_MS  250  /* how often is looked for handshakes that stall, while somebody waits */

struct edge; /* owned by its session, freed when the edge is over */

/* Who the client is and whom it called, where a PROXY header said it. */
struct origin {
    struct address from;
    struct address to;
};

bool edge_wanted(const struct config *c, const struct frontend_config *f);
/* Begins it for a client with this verdict of admission. */
void edge_begin(struct session *s, enum admission_verdict verdict, const char *words);
/* A session that has begun, and whose client wants TLS now (proto.tls_greeted):
 * mysql_client_secured() follows. What it has sent of its handshake is in s->ahead. */
void edge_upgrade(struct session *s);
void edge_client_data(struct session *s, const char *data, size_t len);
void edge_client_eof(struct session *s);
void edge_client_secured(struct session *s);
void edge_client_error(struct session *s, int status);
/* Who may not speak for others, and was let in neither: one line, not too often. */
void edge_tell_denied(struct worker *w, const struct frontend_config *f,
                      const struct address *from);
/* The session ends, or has no use for it any more. NULL is fine. */
void edge_free(struct session *s);
void edge_on_late(struct deadline *d); /* handshake_timeout is over */
void edge_on_turn(struct deadline *d); /* worker_frontend.turn_again */

#endif
