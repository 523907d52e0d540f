/* Roles and access are told as published to the workers, not as elected a moment ago: what people
 * see is what is done. */
#include "ctl/stats_view.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/proto.h"

const char *const haproxy_statuses[HAPROXY_STATUS_COUNT] = {"DOWN", "UP", "MAINT", "DRAIN", "NOLB"};

static const char *const role_names[] = {
    [ROLE_UNKNOWN] = "unknown",
    [ROLE_PRIMARY] = "primary",
    [ROLE_REPLICA] = "replica",
};

static const char *const access_names[] = {
    [ACCESS_NONE] = "none",   [ACCESS_DRAIN] = "drain", [ACCESS_QUIET] = "quiet",
    [ACCESS_PAUSE] = "pause", [ACCESS_OPEN] = "open",
};

static const char *const verdict_names[] = {
    [VERDICT_NOBODY] = "nobody",
    [VERDICT_HOLD] = "hold",
    [VERDICT_CONTESTED] = "contested",
    [VERDICT_PRIMARY] = "primary",
};

static const char *const route_names[] = {
    [ROUTE_AUTO] = "auto", [ROUTE_PRIMARY] = "primary", [ROUTE_REPLICA] = "replica",
    [ROUTE_ANY] = "any",   [ROUTE_SPLIT] = "split",
};

/* What MySQL's servers tell counts transactions, if it is known at all: no place in bytes. */
static bool has_lineage(const struct observation *o)
{
    bool in_bytes = o->part == PART_LINEAGE || (o->part == PART_SOURCE && o->position >= 0);
    return o->reach == REACH_ANSWERED && in_bytes && o->lineage.id[0] != '\0';
}

/* The newest that is known of the primary's history: its last answer, or, while it is silent, what
 * the election remembers. NULL if nothing is. */
static const struct lineage *primary_lineage(const struct backend_control *b, int primary)
{
    if (primary < 0) {
        return NULL;
    }
    if (has_lineage(&b->servers[primary].seen)) {
        return &b->servers[primary].seen.lineage;
    }
    bool remembered = b->memory.incumbent == primary && b->memory.elected.id[0] != '\0';
    return remembered ? &b->memory.elected : NULL;
}

static const char *state_of(const struct backend_control *b, const struct server_control *s)
{
    if (b->config->probe == PROBE_OFF) {
        return "up";
    } else if (s->seen.reach == REACH_UNASKED) {
        return "unknown";
    } else if (s->stale) {
        return "stale";
    }
    return s->up ? "up" : "down";
}

/* HAProxy's NOLB is "up, but gets nobody". */
static const char *haproxy_status(const char *state, enum access access, enum admin_state admin)
{
    if (admin == ADMIN_MAINT) {
        return "MAINT";
    }
    if (strcmp(state, "down") == 0 || strcmp(state, "unknown") == 0) {
        return "DOWN";
    }
    return access == ACCESS_OPEN                            ? "UP"
           : access == ACCESS_DRAIN || admin == ADMIN_DRAIN ? "DRAIN"
                                                            : "NOLB";
}

struct server_view view_server(const struct control *c, size_t backend, size_t server)
{
    const struct backend_control *b = c->backends[backend];
    const struct server_control *s = &b->servers[server];
    const struct topology_backend *t = &c->published->backends[backend];
    struct server_view v = {
        .backend = b->config,
        .config = s->config,
        .published = &t->servers[server],
        .seen = &s->seen,
        .state = state_of(b, s),
        .role = role_names[t->servers[server].role],
        .access = access_names[t->servers[server].access],
        .reason = s->reason,
        .sessions = atomic_load_explicit(&c->shared->servers[s->config->id]->connections,
                                         memory_order_relaxed),
        .has_offset = has_lineage(&s->seen),
        .offset = s->seen.lineage.offset,
        .has_behind = s->seen.reach != REACH_UNASKED && s->seen.behind_ms >= 0 &&
                      s->seen.part != PART_LINEAGE,
        .has_roles = backend_has_roles(b->config),
        .rival = s->rival,
    };
    v.haproxy_status = haproxy_status(v.state, v.published->access, s->admin);
    const struct lineage *primary = primary_lineage(b, t->primary);
    if (v.has_offset && s->seen.claim == CLAIM_REPLICA && primary != NULL &&
        strcmp(primary->id, s->seen.lineage.id) == 0) {
        v.has_lag = true; /* a replica that was asked later may be ahead of the answer we hold */
        v.lag = primary->offset > v.offset ? primary->offset - v.offset : 0;
    }
    return v;
}

static void explain(const struct backend_control *b, struct backend_view *v)
{
    if (v->has_roles) {
        const char *reason = b->verdict.reason[0] != '\0' ? b->verdict.reason : "no election yet";
        snprintf(v->reason, sizeof(v->reason), "%s", reason);
        return;
    }
    size_t open = 0;
    for (size_t i = 0; i < b->config->servers.count; i++) {
        open += v->published->servers[i].access == ACCESS_OPEN;
    }
    snprintf(v->reason, sizeof(v->reason), "%zu of %zu servers take new sessions", open,
             b->config->servers.count);
}

struct backend_view view_backend(const struct control *c, size_t backend)
{
    const struct backend_control *b = c->backends[backend];
    struct backend_view v = {
        .config = b->config,
        .published = &c->published->backends[backend],
        .has_roles = backend_has_roles(b->config),
        .held_ms = b->held_since_ms != 0 ? loop_now_ms(&c->loop) - b->held_since_ms : 0,
    };
    if (v.published->primary >= 0) {
        v.primary = b->config->servers.items[v.published->primary].name;
    }
    if (v.has_roles) {
        v.verdict = verdict_names[b->verdict.kind];
    }
    v.waiting = atomic_load_explicit(&c->shared->backends[backend]->waiting[ROUTE_AUTO],
                                     memory_order_relaxed);
    explain(b, &v);
    return v;
}

const char *view_route(const struct control *c, size_t frontend)
{
    return route_names[c->config->frontends[frontend].route];
}

const struct credential *view_frontend_tls(const struct control *c, size_t frontend)
{
    const struct credential *own = &c->certificates->frontends[frontend];
    return own->context != NULL ? own : NULL;
}

const struct credential *view_backend_tls(const struct control *c, size_t backend)
{
    const struct credential *own = &c->certificates->backends[backend];
    return own->context != NULL ? own : NULL;
}

static bool way_has_server(const struct control *c, const struct frontend_config *f,
                           struct frontend_way way)
{
    const struct topology_backend *b = &c->published->backends[way.backend];
    if (way.route == ROUTE_SPLIT) { /* one for writes and one for reads */
        struct frontend_way reads = {way.backend, ROUTE_REPLICA};
        way.route = ROUTE_PRIMARY;
        return way_has_server(c, f, way) && way_has_server(c, f, reads);
    }
    bool primary_too = way.route == ROUTE_REPLICA && f->fallback == FALLBACK_PRIMARY;
    for (size_t i = 0; i < c->config->backends[way.backend].servers.count; i++) {
        bool is_primary = b->primary == (int)i;
        bool fits = way.route == ROUTE_ANY || (way.route == ROUTE_PRIMARY && is_primary) ||
                    (way.route == ROUTE_REPLICA && b->servers[i].role == ROLE_REPLICA) ||
                    (primary_too && is_primary);
        if (fits && b->servers[i].access == ACCESS_OPEN) {
            return true;
        }
    }
    return false;
}

bool view_frontend_has_server(const struct control *c, size_t frontend, size_t *missing)
{
    const struct frontend_config *f = &c->config->frontends[frontend];
    for (size_t i = 0; i < config_way_count(f); i++) {
        struct frontend_way way = config_way(f, i);
        if (!way_has_server(c, f, way)) {
            *missing = way.backend;
            return false;
        }
    }
    return true;
}
