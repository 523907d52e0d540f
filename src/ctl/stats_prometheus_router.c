/* What HAProxy has not: certificates, roles, elections, fences, holds, lag, probes, authorities. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "ctl/sentinel.h"
#include "ctl/stats_prometheus.h"
#include "ctl/stats_view.h"
#include "model/login_guard.h"

/* Frontends --------------------------------------------------------------------------------- */

static void add_frontends(const struct control *c, struct text *out)
{
    const char *name = "router_frontend_has_server";
    prometheus_family(out, name, "gauge", "1 if a new client has a server.");
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        struct text labels = {0};
        size_t missing;
        if (!view_shows_frontend(c, i)) {
            continue;
        }
        prometheus_labels(&labels, c->config->frontends[i].name, NULL);
        prometheus_series(out, name, &labels, NULL, NULL);
        prometheus_number(out, view_frontend_has_server(c, i, &missing));
        text_free(&labels);
    }
}

/* Certificates ------------------------------------------------------------------------------ */

static void add_certificates(struct text *out, const char *name, const struct text *labels,
                             const struct credential *tls)
{
    for (size_t i = 0; i < tls_context_count(tls->context); i++) {
        const struct tls_certificate *certificate = tls_context_certificate(tls->context, i);
        prometheus_series(out, name, labels, "file", certificate->file);
        prometheus_number(out, certificate->not_after);
    }
}

static void add_unread(struct text *out, const char *name, const struct text *labels,
                       const struct credential *tls)
{
    prometheus_series(out, name, labels, NULL, NULL);
    prometheus_number(out, tls->unread[0] != '\0');
}

/* One family for frontends and one for backends: they may have the same name. */
static const struct tls_family {
    const char *frontend;
    const char *backend;
    const char *help;
    void (*add)(struct text *out, const char *name, const struct text *labels,
                const struct credential *tls);
} tls_families[] = {
    {"router_frontend_certificate_not_after_seconds",
     "router_backend_certificate_not_after_seconds",
     "When the certificate expires, in seconds since 1970.", add_certificates},
    {"router_frontend_tls_unread", "router_backend_tls_unread",
     "1 while its TLS files cannot be read again, and what they held before is in use.",
     add_unread},
};

static void add_tls_series(const struct tls_family *f, const char *name, const char *proxy,
                           bool shown, const struct credential *tls, struct text *out)
{
    if (tls != NULL && shown) {
        struct text labels = {0};
        prometheus_labels(&labels, proxy, NULL);
        f->add(out, name, &labels, tls);
        text_free(&labels);
    }
}

static void add_tls(const struct control *c, struct text *out)
{
    const struct config *config = c->config;
    for (size_t i = 0; i < ARRAY_LEN(tls_families); i++) {
        const struct tls_family *f = &tls_families[i];
        prometheus_family(out, f->frontend, "gauge", f->help);
        for (size_t at = 0; at < config->frontend_count; at++) {
            add_tls_series(f, f->frontend, config->frontends[at].name, view_shows_frontend(c, at),
                           view_frontend_tls(c, at), out);
        }
        prometheus_family(out, f->backend, "gauge", f->help);
        for (size_t at = 0; at < config->backend_count; at++) {
            add_tls_series(f, f->backend, config->backends[at].name, view_shows_backend(c, at),
                           view_backend_tls(c, at), out);
        }
    }
}

/* Backends ---------------------------------------------------------------------------------- */

struct backend_item {
    struct backend_view view;
    const struct tally_backend *tally;
    struct text labels; /* owned */
};

/* Each gives the value, or false if this one has none. Those in seconds are in us. */
struct backend_family {
    const char *name;
    const char *type;
    bool seconds;
    const char *help;
    bool (*read)(const struct backend_item *it, uint64_t *value);
};

static bool queue_limit(const struct backend_item *it, uint64_t *value)
{
    *value = it->view.config->queue_limit;
    return true;
}

static bool has_primary(const struct backend_item *it, uint64_t *value)
{
    const struct topology_backend *t = it->view.published;
    *value = t->primary >= 0 && t->servers[t->primary].access == ACCESS_OPEN;
    return it->view.has_roles;
}

static bool hold_time(const struct backend_item *it, uint64_t *value)
{
    *value = it->view.held_ms * 1000;
    return it->view.has_roles;
}

static bool elections(const struct backend_item *it, uint64_t *value)
{
    *value = it->tally->elections;
    return it->view.has_roles;
}

static bool fences(const struct backend_item *it, uint64_t *value)
{
    *value = it->tally->fences;
    return it->view.has_roles;
}

static const struct backend_family backend_families[] = {
    {"router_backend_queue_limit", "gauge", false, "Clients that may wait.", queue_limit},
    {"router_backend_has_primary", "gauge", false, "1 if a primary takes writes.", has_primary},
    {"router_backend_hold_seconds", "gauge", true,
     "How long writes have been waiting, 0 = they do not.", hold_time},
    {"router_backend_elections_total", "counter", false,
     "How often a primary was given to the workers after writes had stopped, or for another one.",
     elections},
    {"router_backend_fences_total", "counter", false,
     "How often an old primary was fenced: no worker wrote to it any more.", fences},
};

static void add_verdicts(const struct backend_item *items, size_t count, struct text *out)
{
    static const char *const verdicts[] = {"primary", "hold", "contested", "nobody"};
    const char *name = "router_backend_verdict";
    prometheus_family(out, name, "gauge", "1 for what the last election said.");
    for (size_t i = 0; i < count; i++) {
        for (size_t v = 0; v < ARRAY_LEN(verdicts) && items[i].view.has_roles; v++) {
            prometheus_series(out, name, &items[i].labels, "verdict", verdicts[v]);
            prometheus_number(out, strcmp(verdicts[v], items[i].view.verdict) == 0);
        }
    }
}

static void add_backend_family(const struct backend_family *f, const struct backend_item *items,
                               size_t count, struct text *out)
{
    prometheus_family(out, f->name, f->type, f->help);
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (!f->read(&items[i], &value)) {
            continue;
        }
        prometheus_series(out, f->name, &items[i].labels, NULL, NULL);
        if (f->seconds) {
            prometheus_seconds(out, value);
        } else {
            prometheus_number(out, (int64_t)value);
        }
    }
}

static void add_backends(const struct control *c, struct text *out)
{
    size_t count = 0;
    struct backend_item *items = xcalloc(c->config->backend_count + 1, sizeof *items);
    for (size_t b = 0; b < c->config->backend_count; b++) {
        if (!view_shows_backend(c, b)) {
            continue;
        }
        struct backend_item *it = &items[count++];
        it->view = view_backend(c, b);
        it->tally = tally_of_backend(c, b);
        prometheus_labels(&it->labels, it->view.config->name, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(backend_families); i++) {
        add_backend_family(&backend_families[i], items, count, out);
    }
    add_verdicts(items, count, out);
    for (size_t i = 0; i < count; i++) {
        text_free(&items[i].labels);
    }
    free(items);
}

/* Servers ----------------------------------------------------------------------------------- */

struct server_item {
    struct server_view view;
    struct text labels; /* owned */
};

struct server_family {
    const char *name;
    bool seconds;
    const char *help;
    bool (*read)(const struct server_view *v, int64_t *value);
};

static bool offset(const struct server_view *v, int64_t *value)
{
    *value = v->offset;
    return v->has_offset;
}

static bool lag(const struct server_view *v, int64_t *value)
{
    *value = v->lag;
    return v->has_lag;
}

static bool behind(const struct server_view *v, int64_t *value)
{
    *value = v->seen->behind_ms * 1000;
    return v->has_behind;
}

static bool probe_latency(const struct server_view *v, int64_t *value)
{
    *value = (int64_t)v->seen->latency_us;
    return v->seen->reach == REACH_ANSWERED;
}

static bool probe_failures(const struct server_view *v, int64_t *value)
{
    *value = v->seen->failures;
    return true;
}

static bool connections(const struct server_view *v, int64_t *value)
{
    *value = v->sessions;
    return true;
}

static bool connections_limit(const struct server_view *v, int64_t *value)
{
    *value = v->config->max_connections;
    return v->config->max_connections > 0;
}

static bool rival(const struct server_view *v, int64_t *value)
{
    *value = v->rival;
    return v->has_roles;
}

static const struct server_family server_families[] = {
    {"router_server_offset", false, "How far it is in its replication history, in bytes.", offset},
    {"router_server_lag_bytes", false, "How far a replica is behind the primary.", lag},
    {"router_server_behind_seconds", true, "How far a replica says that it is behind.", behind},
    {"router_server_probe_latency_seconds", true, "How long the last probe took.", probe_latency},
    {"router_server_probe_failures", false, "Probes in a row that were not answered.",
     probe_failures},
    {"router_server_connections_used", false, "Connections that sessions hold.", connections},
    {"router_server_connections_limit", false, "How many there may be (server_max_connections).",
     connections_limit},
    {"router_server_rival", false, "1 while it claims to be the primary beside the primary.",
     rival},
};

static void add_words(const struct server_item *items, size_t count, const char *name,
                      const char *help, const char *key, struct text *out)
{
    static const char *const roles[] = {"primary", "replica", "unknown"};
    static const char *const accesses[] = {"open", "pause", "quiet", "drain", "none"};
    bool role = strcmp(key, "role") == 0;
    const char *const *values = role ? roles : accesses;
    size_t value_count = role ? ARRAY_LEN(roles) : ARRAY_LEN(accesses);
    prometheus_family(out, name, "gauge", help);
    for (size_t i = 0; i < count; i++) {
        const char *now = role ? items[i].view.role : items[i].view.access;
        for (size_t v = 0; v < value_count; v++) {
            prometheus_series(out, name, &items[i].labels, key, values[v]);
            prometheus_number(out, strcmp(values[v], now) == 0);
        }
    }
}

static void add_server_family(const struct server_family *f, const struct server_item *items,
                              size_t count, struct text *out)
{
    prometheus_family(out, f->name, "gauge", f->help);
    for (size_t i = 0; i < count; i++) {
        int64_t value;
        if (!f->read(&items[i].view, &value)) {
            continue;
        }
        prometheus_series(out, f->name, &items[i].labels, NULL, NULL);
        if (f->seconds) {
            prometheus_seconds(out, (uint64_t)value);
        } else {
            prometheus_number(out, value);
        }
    }
}

static void add_servers(const struct control *c, struct text *out)
{
    size_t count = 0;
    struct server_item *items = xcalloc(c->config->server_count + 1, sizeof *items);
    for (size_t b = 0; b < c->config->backend_count; b++) {
        for (size_t s = 0; s < c->config->backends[b].servers.count; s++) {
            if (view_shows_server(c, b, s)) {
                struct server_item *it = &items[count++];
                it->view = view_server(c, b, s);
                prometheus_labels(&it->labels, it->view.backend->name, it->view.config->name);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(server_families); i++) {
        add_server_family(&server_families[i], items, count, out);
    }
    add_words(items, count, "router_server_role", "1 for the role the server has.", "role", out);
    add_words(items, count, "router_server_access", "1 for what may be done on the server.",
              "access", out);
    for (size_t i = 0; i < count; i++) {
        text_free(&items[i].labels);
    }
    free(items);
}

/* Sentinels --------------------------------------------------------------------------------- */

static void add_sentinels(const struct control *c, struct text *out)
{
    const char *name = "router_sentinel_heard";
    prometheus_family(out, name, "gauge", "1 if the Sentinel answers.");
    for (size_t b = 0; b < c->config->backend_count; b++) {
        const struct sentinels *sentinels =
            view_shows_backend(c, b) ? c->backends[b]->sentinels : NULL;
        struct text labels = {0};
        prometheus_labels(&labels, c->config->backends[b].name, NULL);
        for (size_t i = 0; sentinels != NULL && i < sentinels_count(sentinels); i++) {
            struct sentinel_view v;
            sentinels_view(sentinels, i, &v);
            prometheus_series(out, name, &labels, "address", v.address);
            prometheus_number(out, v.heard);
        }
        text_free(&labels);
    }
}

/* Logins ------------------------------------------------------------------------------------ */

/* Of the clients of all pools of MySQL: who fails there is known by address only. */
static void add_logins(const struct control *c, struct text *out)
{
    const char *name = "router_login_failures_total";
    struct login_guard_total total;
    login_guard_total(c->guard, &total, loop_now_ms(&c->loop));
    prometheus_family(
        out, name, "counter",
        "Logins of pooled clients that failed, by how: the server said no, the client "
        "left, was late, or broke the protocol.");
    for (int i = 0; i < LOGIN_FAILURES; i++) {
        text_add(out, "%s{how=\"%s\"} ", name, login_failure_words[i]);
        prometheus_number(out, (int64_t)total.failures[i]);
    }
    name = "router_login_failing_addresses";
    prometheus_family(out, name, "gauge", "Addresses from which a login failed within a minute.");
    text_add(out, "%s ", name);
    prometheus_number(out, total.addresses);
}

void prometheus_add_router(const struct control *c, struct text *out)
{
    add_frontends(c, out);
    add_tls(c, out);
    add_backends(c, out);
    add_servers(c, out);
    add_sentinels(c, out);
    add_logins(c, out);
}
