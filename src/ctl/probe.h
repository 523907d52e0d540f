/* Asks one server, again and again, what it is: connects, runs a dialogue (or only the connect),
 * reports an observation, waits, asks again. Control thread only. */
#ifndef ROUTER_CTL_PROBE_H
#define ROUTER_CTL_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/observation.h"
#include "net/conn.h"
#include "router_proto.h"

struct loop;
struct probe;
struct tls_context;

/* Whom to ask, and how. All that it points to is borrowed and outlives the probe. */
struct probe_target {
    struct address address;
    char peer[ADDRESS_NAME_MAX];           /* whom its certificate must name */
    const struct probe_dialogue *dialogue; /* NULL: only connect */
    const struct probe_setup *setup;       /* may change between two questions */
    struct tls_context *const *tls;        /* where the current one is, or NULL */
    unsigned proxy;                        /* enum proxy_version of the header; 0 = none */
    bool keep;                             /* the connection, between two probes */
    uint64_t timeout_ms;
    uint64_t fast_interval_ms; /* a connection lost within it is not opened again at once */
    struct conn_tcp tcp;
};

struct probe_events {
    /* A probe ended; `o` is borrowed until the return. failures/successes are filled in. */
    void (*on_observation)(void *context, size_t number, const struct observation *o);
    /* A kept connection was lost between two probes, or the server said something unasked: a new
     * probe follows at once. */
    void (*on_lost)(void *context, size_t number);
};

/* `number` is for the events. `stamp` is the counter for observation.asked and .answered, shared by
 * all probes. It begins with the fast interval. NULL: memory. */
struct probe *probe_new(struct loop *l, const struct probe_target *target, size_t number,
                        const struct probe_events *events, void *context, uint64_t *stamp);
void probe_start(struct probe *p);
/* Asks now, or right after the question that is under way (whose answer is older than this call).
 */
void probe_now(struct probe *p);
/* The next one logs in anew, where the connection is kept: only that takes back what servers count
 * against an address. At most once a second. */
void probe_anew(struct probe *p);
void probe_set_interval(struct probe *p, uint64_t interval_ms);
/* Frees itself later, from the loop. A login that must not be cut is finished first, within the
 * time-out; no event comes any more. */
void probe_close(struct probe *p);

#endif
