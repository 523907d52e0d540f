/* The text format 0.0.4. A family has its HELP and TYPE once and all its series right behind, so
 * the outer loops go over families, the inner ones over who has a series. Names are HAProxy's where
 * they mean the same. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ctl/stats.h"
#include "ctl/stats_view.h"
#include "router.h"

static void add_family(struct text *out, const char *name, const char *type, const char *help)
{
    text_add(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label_value(struct text *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '\\' || *s == '"') {
            text_add(out, "\\%c", *s);
        } else if (*s == '\n') {
            text_add(out, "\\n");
        } else {
            text_add_bytes(out, s, 1);
        }
    }
}

/* name{proxy="...",server="...",key="value"} up to the brace; NULL leaves a label out. */
static void add_series(struct text *out, const char *name, const char *proxy, const char *server,
                       const char *key, const char *value)
{
    text_add(out, "%s{proxy=\"", name);
    add_label_value(out, proxy);
    if (server != NULL) {
        text_add(out, "\",server=\"");
        add_label_value(out, server);
    }
    if (value != NULL) {
        text_add(out, "\",%s=\"", key);
        add_label_value(out, value);
    }
    text_add(out, "\"}");
}

/* The process ------------------------------------------------------------------------------- */

static void add_gauge(struct text *out, const char *name, const char *help, double value)
{
    add_family(out, name, "gauge", help);
    text_add(out, "%s %.15g\n", name, value);
}

static void add_process(const struct control *c, struct text *out)
{
    double uptime = (double)(loop_now_ms(&c->loop) - c->started_ms) / 1000;
    unsigned sessions = atomic_load_explicit(&c->shared->router->sessions, memory_order_relaxed);
    add_family(out, "router_info", "gauge", "The version that runs.");
    text_add(out, "router_info{version=\"%s\"} 1\n", ROUTER_VERSION);
    add_gauge(out, "haproxy_process_uptime_seconds", "Time since the start.", uptime);
    add_gauge(out, "haproxy_process_nbthread", "Worker threads.", c->worker_count);
    add_gauge(out, "haproxy_process_current_connections", "Sessions now.", sessions);
    add_gauge(out, "haproxy_process_max_connections", "Sessions at once that are allowed.",
              c->shared->max_sessions);
    add_gauge(out, "haproxy_process_stopping", "1 while the router drains.", c->draining);
    add_gauge(out, "router_ready", "1 if /readyz says so.", control_ready(c));
    add_gauge(out, "router_topology_generation", "Number of the newest published topology.",
              (double)c->published->generation);
    add_family(out, "router_events_total", "counter", "Events ever, as listed in /stats.json.");
    text_add(out, "router_events_total %" PRIu64 "\n", c->events.count);
}

/* Frontends --------------------------------------------------------------------------------- */

static void add_frontend_gauges(const struct control *c, struct text *out)
{
    const char *name = "haproxy_frontend_current_sessions";
    add_family(out, name, "gauge", "Sessions now.");
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        add_series(out, name, c->config->frontends[i].name, NULL, NULL, NULL);
        text_add(out, " %u\n",
                 atomic_load_explicit(&c->shared->frontends[i]->sessions, memory_order_relaxed));
    }
    name = "haproxy_frontend_limit_sessions";
    add_family(out, name, "gauge", "Sessions at once that are allowed, 0 = any number.");
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        add_series(out, name, c->config->frontends[i].name, NULL, NULL, NULL);
        text_add(out, " %u\n", c->config->frontends[i].max_sessions);
    }
    name = "router_frontend_has_server";
    add_family(out, name, "gauge", "1 if a new client has a server.");
    for (size_t i = 0; i < c->config->frontend_count; i++) {
        size_t missing;
        add_series(out, name, c->config->frontends[i].name, NULL, NULL, NULL);
        text_add(out, " %d\n", view_frontend_has_server(c, i, &missing));
    }
}

static void add_frontend_metrics(const struct control *c, struct text *out)
{
    for (int m = 0; m < FRONTEND_METRIC_COUNT; m++) {
        const struct metric_words *words = &frontend_metric_words[m];
        add_family(out, words->prometheus, words->type, words->help);
        for (size_t i = 0; i < c->config->frontend_count; i++) {
            add_series(out, words->prometheus, c->config->frontends[i].name, NULL, NULL, NULL);
            text_add(out, " %" PRIu64 "\n", view_frontend_metric(c, i, (enum frontend_metric)m));
        }
    }
}

/* Certificates ------------------------------------------------------------------------------ */

static void add_certificates(struct text *out, const char *name, const char *proxy,
                             const struct credential *tls)
{
    for (size_t i = 0; tls != NULL && i < tls_context_count(tls->context); i++) {
        const struct tls_certificate *certificate = tls_context_certificate(tls->context, i);
        add_series(out, name, proxy, NULL, "file", certificate->file);
        text_add(out, " %" PRIu64 "\n", (uint64_t)certificate->not_after);
    }
}

static void add_unread(struct text *out, const char *name, const char *proxy,
                       const struct credential *tls)
{
    if (tls != NULL) {
        add_series(out, name, proxy, NULL, NULL, NULL);
        text_add(out, " %d\n", tls->unread[0] != '\0');
    }
}

/* One family for frontends and one for backends: they may have the same name. */
static void add_tls(const struct control *c, struct text *out)
{
    static const struct {
        const char *frontend;
        const char *backend;
        const char *help;
        void (*add)(struct text *out, const char *name, const char *proxy,
                    const struct credential *tls);
    } families[] = {
        {"router_frontend_certificate_not_after_seconds",
         "router_backend_certificate_not_after_seconds",
         "When the certificate expires, in seconds since 1970.", add_certificates},
        {"router_frontend_tls_unread", "router_backend_tls_unread",
         "1 while its TLS files cannot be read again, and what they held before is in use.",
         add_unread},
    };
    const struct config *config = c->config;
    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        add_family(out, families[f].frontend, "gauge", families[f].help);
        for (size_t i = 0; i < config->frontend_count; i++) {
            families[f].add(out, families[f].frontend, config->frontends[i].name,
                            view_frontend_tls(c, i));
        }
        add_family(out, families[f].backend, "gauge", families[f].help);
        for (size_t i = 0; i < config->backend_count; i++) {
            families[f].add(out, families[f].backend, config->backends[i].name,
                            view_backend_tls(c, i));
        }
    }
}

/* Backends ---------------------------------------------------------------------------------- */

/* Each gives the value, or false if this one has none. */
struct backend_gauge {
    const char *name;
    const char *help;
    bool (*read)(const struct backend_view *v, double *value);
};

static bool current_queue(const struct backend_view *v, double *value)
{
    *value = v->waiting;
    return true;
}

static bool queue_limit(const struct backend_view *v, double *value)
{
    *value = v->config->queue_limit;
    return true;
}

static bool has_primary(const struct backend_view *v, double *value)
{
    int primary = v->published->primary;
    *value = primary >= 0 && v->published->servers[primary].access == ACCESS_OPEN;
    return v->has_roles;
}

static bool hold_seconds(const struct backend_view *v, double *value)
{
    *value = (double)v->held_ms / 1000;
    return v->has_roles;
}

static const struct backend_gauge backend_gauges[] = {
    {"haproxy_backend_current_queue", "Clients that wait.", current_queue},
    {"router_backend_queue_limit", "Clients that may wait.", queue_limit},
    {"router_backend_has_primary", "1 if a primary takes writes.", has_primary},
    {"router_backend_hold_seconds", "How long writes have been waiting, 0 = they do not.",
     hold_seconds},
};

static void add_backends(const struct control *c, struct text *out)
{
    for (size_t g = 0; g < ARRAY_LEN(backend_gauges); g++) {
        const struct backend_gauge *gauge = &backend_gauges[g];
        add_family(out, gauge->name, "gauge", gauge->help);
        for (size_t b = 0; b < c->config->backend_count; b++) {
            struct backend_view v = view_backend(c, b);
            double value = 0;
            if (gauge->read(&v, &value)) {
                add_series(out, gauge->name, v.config->name, NULL, NULL, NULL);
                text_add(out, " %.15g\n", value);
            }
        }
    }
}

/* Servers ----------------------------------------------------------------------------------- */

struct server_gauge {
    const char *name;
    const char *help;
    bool (*read)(const struct server_view *v, double *value);
};

static bool current_sessions(const struct server_view *v, double *value)
{
    *value = v->sessions;
    return true;
}

static bool limit_sessions(const struct server_view *v, double *value)
{
    *value = v->config->max_connections;
    return true;
}

static bool weight(const struct server_view *v, double *value)
{
    *value = v->config->weight;
    return true;
}

static bool offset(const struct server_view *v, double *value)
{
    *value = (double)v->offset;
    return v->has_offset;
}

static bool lag(const struct server_view *v, double *value)
{
    *value = (double)v->lag;
    return v->has_lag;
}

static bool probe_latency(const struct server_view *v, double *value)
{
    *value = (double)v->seen->latency_us / 1e6;
    return v->seen->reach == REACH_ANSWERED;
}

static bool probe_failures(const struct server_view *v, double *value)
{
    *value = v->seen->failures;
    return true;
}

static const struct server_gauge server_gauges[] = {
    {"haproxy_server_current_sessions", "Connections in use now.", current_sessions},
    {"haproxy_server_limit_sessions", "Connections at once that are allowed, 0 = any number.",
     limit_sessions},
    {"haproxy_server_weight", "Its share.", weight},
    {"router_server_offset", "How far it is in its replication history, in bytes.", offset},
    {"router_server_lag_bytes", "How far a replica is behind the primary.", lag},
    {"router_server_probe_latency_seconds", "How long the last probe took.", probe_latency},
    {"router_server_probe_failures", "Probes in a row that were not answered.", probe_failures},
};

static void add_server_gauges(const struct server_view *servers, size_t count, struct text *out)
{
    for (size_t g = 0; g < ARRAY_LEN(server_gauges); g++) {
        const struct server_gauge *gauge = &server_gauges[g];
        add_family(out, gauge->name, "gauge", gauge->help);
        for (size_t i = 0; i < count; i++) {
            double value = 0;
            if (gauge->read(&servers[i], &value)) {
                add_series(out, gauge->name, servers[i].backend->name, servers[i].config->name,
                           NULL, NULL);
                text_add(out, " %.15g\n", value);
            }
        }
    }
}

static void add_server_metrics(const struct control *c, const struct server_view *servers,
                               size_t count, struct text *out)
{
    for (int m = 0; m < SERVER_METRIC_COUNT; m++) {
        const struct metric_words *words = &server_metric_words[m];
        add_family(out, words->prometheus, words->type, words->help);
        for (size_t i = 0; i < count; i++) {
            const struct server_view *v = &servers[i];
            add_series(out, words->prometheus, v->backend->name, v->config->name, NULL, NULL);
            text_add(out, " %" PRIu64 "\n",
                     view_server_metric(c, v->config->id, (enum server_metric)m));
        }
    }
}

/* One series for each value that `key` can have, 1 for the one it has. */
static void add_states(struct text *out, const char *name, const struct server_view *v,
                       const char *key, const char *const *values, size_t count, const char *now)
{
    for (size_t i = 0; i < count; i++) {
        add_series(out, name, v->backend->name, v->config->name, key, values[i]);
        text_add(out, " %d\n", strcmp(values[i], now) == 0);
    }
}

static void add_server_states(const struct server_view *servers, size_t count, struct text *out)
{
    static const char *const roles[] = {"primary", "replica", "unknown"};
    const char *name = "haproxy_server_status";
    add_family(out, name, "gauge", "1 for the state the server is in.");
    for (size_t i = 0; i < count; i++) {
        add_states(out, name, &servers[i], "state", haproxy_statuses, HAPROXY_STATUS_COUNT,
                   servers[i].haproxy_status);
    }
    name = "router_server_role";
    add_family(out, name, "gauge", "1 for the role the server has.");
    for (size_t i = 0; i < count; i++) {
        add_states(out, name, &servers[i], "role", roles, ARRAY_LEN(roles), servers[i].role);
    }
}

static void add_servers(const struct control *c, struct text *out)
{
    size_t count = 0;
    struct server_view *servers = xcalloc(c->config->server_count, sizeof(*servers));
    for (size_t b = 0; b < c->config->backend_count; b++) {
        for (size_t s = 0; s < c->config->backends[b].servers.count; s++) {
            servers[count++] = view_server(c, b, s);
        }
    }
    add_server_states(servers, count, out);
    add_server_gauges(servers, count, out);
    add_server_metrics(c, servers, count, out);
    free(servers);
}

void stats_prometheus(const struct control *c, struct text *out)
{
    add_process(c, out);
    add_frontend_gauges(c, out);
    add_frontend_metrics(c, out);
    add_tls(c, out);
    add_backends(c, out);
    add_servers(c, out);
}
