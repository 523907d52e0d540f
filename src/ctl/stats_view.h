/* One reading of the control thread's state for those who print it: /stats.json, /metrics and
 * /readyz say the same because they ask here. Everything is borrowed until the loop turns. */
#ifndef ROUTER_CTL_STATS_VIEW_H
#define ROUTER_CTL_STATS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/control.h"

struct server_view {
    const struct backend_config *backend;
    const struct server_config *config;
    const struct topology_server *published;
    const struct observation *seen;
    const char *state;  /* "unknown", "up", "stale" or "down" */
    const char *role;   /* "unknown", "primary" or "replica" */
    const char *access; /* "none", "drain", "quiet", "pause" or "open" */
    const char *reason;
    const char *haproxy_status; /* one of haproxy_statuses */
    unsigned sessions;
    bool has_offset; /* it said how far it is in its history */
    int64_t offset;
    bool has_lag; /* ... which is also the primary's */
    int64_t lag;
    bool has_behind; /* it says itself how far it is behind: seen->behind_ms */
    bool has_roles;
    bool rival; /* it claims to be the primary beside the primary */
};

struct backend_view {
    const struct backend_config *config;
    const struct topology_backend *published;
    bool has_roles;
    const char *primary; /* the server's name; NULL = none */
    const char *verdict; /* NULL without roles */
    unsigned waiting;
    uint64_t held_ms;
    char reason[ELECTION_REASON_MAX];
};

#define HAPROXY_STATUS_COUNT 5
extern const char *const haproxy_statuses[HAPROXY_STATUS_COUNT];

/* What was removed from the configuration stays in it for as long as sessions use it, and nobody
 * sees it. */
static inline bool view_shows_frontend(const struct control *c, size_t frontend)
{
    return !c->config->frontends[frontend].gone;
}

static inline bool view_shows_backend(const struct control *c, size_t backend)
{
    return !c->config->backends[backend].gone;
}

static inline bool view_shows_server(const struct control *c, size_t backend, size_t server)
{
    const struct backend_config *b = &c->config->backends[backend];
    return !b->gone && !b->servers.items[server].gone;
}

struct backend_view view_backend(const struct control *c, size_t backend);
struct server_view view_server(const struct control *c, size_t backend, size_t server);
const char *view_route(const struct control *c, size_t frontend);
/* The TLS of a section; NULL: it has none. */
const struct credential *view_frontend_tls(const struct control *c, size_t frontend);
const struct credential *view_backend_tls(const struct control *c, size_t backend);
/* Whether a new client of this frontend has a server now, be it at its cap or not. */
/* Each backend that its clients may come to; if not, *missing is the first that has none. */
bool view_frontend_has_server(const struct control *c, size_t frontend, size_t *missing);

#endif
