/* The process, and how a series is written. Names are HAProxy's where they mean the same. */
#include "ctl/stats_prometheus.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "ctl/control.h"
#include "ctl/stats.h"
#include "router.h"

void prometheus_family(struct text *out, const char *name, const char *type, const char *help)
{
    text_add(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label_value(struct text *out, const char *s)
{
    while (*s != '\0') {
        size_t plain = strcspn(s, "\\\"\n");
        text_add_bytes(out, s, plain);
        s += plain;
        if (*s != '\0') {
            text_add(out, "\\%c", *s == '\n' ? 'n' : *s);
            s++;
        }
    }
}

void prometheus_labels(struct text *labels, const char *proxy, const char *server)
{
    text_add(labels, "{proxy=\"");
    add_label_value(labels, proxy);
    if (server != NULL) {
        text_add(labels, "\",server=\"");
        add_label_value(labels, server);
    }
    text_add(labels, "\"");
}

void prometheus_series(struct text *out, const char *name, const struct text *labels,
                       const char *key, const char *value)
{
    text_add_bytes(out, name, strlen(name));
    text_add_bytes(out, labels->data, labels->len);
    if (key != NULL && value != NULL) {
        text_add_bytes(out, ",", 1);
        text_add_bytes(out, key, strlen(key));
        text_add_bytes(out, "=\"", 2);
        add_label_value(out, value);
        text_add_bytes(out, "\"", 1);
    }
    text_add_bytes(out, "} ", 2);
}

void prometheus_number(struct text *out, int64_t value)
{
    text_add_number(out, value);
    text_add_bytes(out, "\n", 1);
}

void prometheus_seconds(struct text *out, uint64_t us)
{
    char fraction[8];
    uint64_t rest = us % 1000000;
    fraction[0] = '.';
    for (size_t i = 6; i > 0; i--, rest /= 10) {
        fraction[i] = (char)('0' + rest % 10);
    }
    fraction[7] = '\n';
    text_add_number(out, (long long)(us / 1000000));
    text_add_bytes(out, fraction, sizeof fraction);
}

/* The process ------------------------------------------------------------------------------- */

static void add(struct text *out, const char *name, const char *type, const char *help,
                uint64_t value)
{
    prometheus_family(out, name, type, help);
    text_add(out, "%s %" PRIu64 "\n", name, value);
}

static void add_version(struct text *out)
{
    static const char *const names[] = {"router_info", "haproxy_process_build_info"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        prometheus_family(out, names[i], "gauge", "The version that runs.");
        text_add(out, "%s{version=\"%s\"} 1\n", names[i], ROUTER_VERSION);
    }
}

static void add_rates(const struct tally *t, struct text *out)
{
    add(out, "haproxy_process_current_connection_rate", "gauge",
        "New connections in the last second.", t->connections.now);
    add(out, "haproxy_process_max_connection_rate", "gauge",
        "The most new connections in a second so far.", t->connections.max);
    add(out, "haproxy_process_current_session_rate", "gauge", "New sessions in the last second.",
        t->sessions.now);
    add(out, "haproxy_process_max_session_rate", "gauge",
        "The most new sessions in a second so far.", t->sessions.max);
    add(out, "haproxy_process_bytes_out_rate", "gauge", "Bytes sent to clients in the last second.",
        t->bytes_out.now);
}

static void add_process(const struct control *c, struct text *out)
{
    unsigned sessions = atomic_load_explicit(&c->shared->router->sessions, memory_order_relaxed);
    add_version(out);
    add(out, "haproxy_process_nbthread", "gauge", "Worker threads.", c->worker_count);
    prometheus_family(out, "haproxy_process_uptime_seconds", "gauge", "Time since the start.");
    text_add(out, "haproxy_process_uptime_seconds ");
    prometheus_seconds(out, (loop_now_ms(&c->loop) - c->started_ms) * 1000);
    add(out, "haproxy_process_start_time_seconds", "gauge",
        "When it was started, in seconds since 1970.", c->started_unix);
    add(out, "haproxy_process_current_connections", "gauge", "Sessions now.", sessions);
    add(out, "haproxy_process_max_connections", "gauge", "Sessions at once that are allowed.",
        c->shared->max_sessions);
    add(out, "haproxy_process_connections_total", "counter", "Connections taken from clients.",
        tally_whole(c, FRONTEND_CONNECTIONS_TOTAL));
    add(out, "haproxy_process_bytes_out_total", "counter", "Bytes sent to clients.",
        tally_whole(c, FRONTEND_BYTES_OUT));
    add_rates(&c->tally, out);
    add(out, "haproxy_process_idle_time_percent", "gauge",
        "How much of the last second the workers slept.",
        c->tally.looked_ns > 0 ? c->tally.idle_percent : 100);
    add(out, "haproxy_process_stopping", "gauge", "1 while the router drains.", c->draining);
    add(out, "haproxy_process_dropped_logs_total", "counter",
        "Lines of the log that its target did not take.", log_dropped());
    add(out, "router_log_left_out_total", "counter",
        "Lines of the log that were held back because there were too many like them.",
        log_left_out());
    add(out, "router_ready", "gauge", "1 if /readyz says so.", control_ready(c));
    add(out, "router_topology_generation", "gauge", "Number of the newest published topology.",
        c->published->generation);
    add(out, "router_events_total", "counter", "Events ever, as listed in /stats.json.",
        c->events.count);
}

void stats_prometheus(const struct control *c, struct text *out)
{
    add_process(c, out);
    prometheus_add_proxies(c, out);
    prometheus_add_router(c, out);
}
