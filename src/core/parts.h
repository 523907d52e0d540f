/* What a worker has for each frontend, backend and server: lists, deadlines, the TLS context in
 * use. Made at the start; a change of the configuration adds some and gives others new values. Each
 * is a block of its own that stays where it is, because lists and sessions point into it. */
#ifndef ROUTER_CORE_PARTS_H
#define ROUTER_CORE_PARTS_H

#include <stdint.h>

struct tls_context;
struct worker;

/* Brings all parts in line with w->config, which has at least as many as there were before. Takes
 * a reference of each context; NULL = in the clear. */
void parts_extend(struct worker *w, struct tls_context *const *frontend_tls,
                  struct tls_context *const *backend_tls);
/* Makes the keys of session tickets ready, where some frontend ends TLS. */
void parts_start_tls(struct worker *w, const unsigned char *ticket_seed, uint64_t tickets_began_s);
/* When nothing is armed and nobody is in a list any more. */
void parts_release(struct worker *w);

#endif
