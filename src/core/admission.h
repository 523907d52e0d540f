/* Who may come in: access rules, caps and rates of a frontend, in one place. Counts are shared by
 * all workers and exact. */
#ifndef ROUTER_CORE_ADMISSION_H
#define ROUTER_CORE_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "model/metrics.h"

struct worker;
struct frontend_config;

/* The places a session holds; given back by admission_leave(). */
struct admission {
    struct client_key key;
    bool router;   /* counted against router.max_sessions */
    bool frontend; /* counted against the frontend's max_sessions */
    bool client;   /* entered in the table of client addresses */
    bool backend;  /* counted among the sessions of a backend */
    uint32_t backend_index;
};

enum admission_verdict {
    ADMITTED,
    ADMISSION_DENIED,   /* allow and deny: closed without a word */
    ADMISSION_SESSIONS, /* a cap on sessions */
    ADMISSION_RATE,     /* a cap on new sessions a second */
    ADMISSION_DISABLED, /* the frontend, by the operator */
};

/* What a client that is not admitted, and is told so, counts as. */
enum frontend_metric admission_counter(enum admission_verdict verdict);

/* On any verdict `a` holds what was taken. `words` says which cap, for the client. With
 * accept_proxy `from` only speaks for others: the caps of its client are left to
 * admission_client(). */
enum admission_verdict admission_enter(struct worker *w, const struct frontend_config *f,
                                       const struct address *from, struct admission *a,
                                       const char **words);
/* The client is known, by a header or, where `named` is false, as the connection's own address. */
enum admission_verdict admission_client(struct worker *w, const struct frontend_config *f,
                                        const struct address *from, bool named, struct admission *a,
                                        const char **words);
/* It comes for the servers of this backend, which has no cap of its own. */
void admission_enter_backend(struct worker *w, size_t backend, struct admission *a);
void admission_leave(struct worker *w, const struct frontend_config *f, struct admission *a);

#endif
