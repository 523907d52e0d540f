/* Who of a backend is asked what, and how often: one probe for each server, a second one for
 * Patroni where it runs, the account they log in with. What they bring is backend.c's business. */
#ifndef ROUTER_CTL_PROBES_H
#define ROUTER_CTL_PROBES_H

#include "ctl/live_secret.h"
#include "ctl/probe.h"
#include "model/config.h"

struct tls_context;

#define HOST_FIELD_MAX 264 /* a name of DNS and a port */

struct server_probes {
    struct probe *probe;      /* owned; NULL with probe = off */
    struct probe *witness;    /* owned: Patroni's word on this server; NULL = nobody is asked */
    struct probe_setup setup; /* for both */
    struct address asked;     /* where they were started for */
    char host[HOST_FIELD_MAX];
};

struct probes_events;

struct probes {
    const struct backend_config *config;
    struct server_probes **servers; /* owned, by index in the backend */
    size_t count;
    struct live_secret secret;
    struct tls_context *const *tls;      /* borrowed: where the current one, or NULL, is */
    struct tls_context *const *word_tls; /* the same for Patroni */
    bool fast;
    /* Since probes_start(), borrowed: */
    struct loop *loop;
    const struct probes_events *events;
    void *context;
    uint64_t *stamp;
};

struct probes_events {
    struct probe_events role;    /* of server_probes.probe */
    struct probe_events witness; /* of server_probes.witness */
};

/* `tls` and `word_tls` are where the current contexts are at any time, or NULL: there is none. */
void probes_init(struct probes *p, const struct backend_config *config,
                 struct tls_context *const *tls, struct tls_context *const *word_tls);
void probes_release(struct probes *p);
/* Follows another configuration of the same backend: servers that are new are asked, others as
 * before, or `anew` with new connections. */
void probes_adopt(struct probes *p, const struct backend_config *config, bool anew);

/* They begin at the fast pace. `events` is borrowed for as long as they run. */
void probes_start(struct probes *p, struct loop *l, const struct probes_events *events,
                  void *context, uint64_t *stamp);
void probes_stop(struct probes *p);
void probes_stop_server(struct probes *p, size_t server);
void probes_now(struct probes *p, size_t server); /* this one, or */
void probes_all_now(struct probes *p);
/* Its next probe logs in anew. */
void probes_anew(struct probes *p, size_t server);
void probes_set_pace(struct probes *p, bool fast);
/* Looks whether the password's file has changed. */
void probes_refresh_secret(struct probes *p);

#endif
