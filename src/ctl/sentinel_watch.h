/* One standing connection to one Sentinel, on which it tells what happens to our primary. Connects,
 * subscribes, listens, and begins again when that ends. Control thread only. */
#ifndef ROUTER_CTL_SENTINEL_WATCH_H
#define ROUTER_CTL_SENTINEL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "router_proto.h"

struct loop;
struct sentinel_watch;
struct tls_context;

/* All that it points to is borrowed until sentinel_watch_close(). */
struct sentinel_watch_target {
    struct address address;
    char peer[ADDRESS_NAME_MAX];     /* whom its certificate must name */
    const struct probe_setup *setup; /* read anew at each login */
    struct tls_context *const *tls;  /* where the current one, or NULL, is; NULL: in the clear */
    struct conn_tcp tcp;
    uint64_t timeout_ms; /* of the connect and of the login */
    uint64_t pause_ms;   /* between the end of a connection and the next one */
    const char *label;   /* "backend=redis sentinel=10.0.0.5:26379", for the log */
};

struct sentinel_watch_events {
    /* It promotes the server at `address` (borrowed until the return); "": nobody any more, or we
     * would not hear of it. Before the news of the same; must not close the watch. */
    void (*on_intention)(void *context, size_t number, const char *address);
    /* Something happened, or its connection was lost: `text` says what, borrowed until the return.
     * Comes once for all that was told in one breath. */
    void (*on_news)(void *context, size_t number, const char *text);
};

/* `number` is for the events. NULL: memory. */
struct sentinel_watch *sentinel_watch_new(struct loop *l,
                                          const struct sentinel_watch_target *target, size_t number,
                                          const struct sentinel_watch_events *events,
                                          void *context);
void sentinel_watch_start(struct sentinel_watch *w);
bool sentinel_watch_is_subscribed(const struct sentinel_watch *w);
const char *sentinel_watch_why(const struct sentinel_watch *w); /* why not; "" if it never failed */
/* Frees itself later, from the loop; no event comes any more. */
void sentinel_watch_close(struct sentinel_watch *w);

#endif
