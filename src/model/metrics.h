/* Counters. Each worker writes its own padded slots, the control thread sums them up: relaxed
 * atomics with one writer each, no read-modify-write.
 *
 * A slot stays where it is for as long as the router runs; the tables that lead to the slots are
 * made anew when the configuration gets more frontends or servers than there were. */
#ifndef ROUTER_MODEL_METRICS_H
#define ROUTER_MODEL_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct config;

enum frontend_metric {
#define FRONTEND(name) FRONTEND_##name,
#define SERVER(name)
#define METRIC(scope, name, json, prometheus, type, help) scope(name)
#include "model/metrics.def"
#undef FRONTEND
#undef SERVER
    FRONTEND_METRIC_COUNT
};

enum server_metric {
#define FRONTEND(name)
#define SERVER(name) SERVER_##name,
#include "model/metrics.def"
#undef FRONTEND
#undef SERVER
#undef METRIC
    SERVER_METRIC_COUNT
};

struct frontend_counters {
    _Alignas(CACHE_LINE) _Atomic uint64_t at[FRONTEND_METRIC_COUNT];
};

struct server_counters {
    _Alignas(CACHE_LINE) _Atomic uint64_t at[SERVER_METRIC_COUNT];
};

/* What a metric is called; in the order of the enums. */
struct metric_words {
    const char *json;       /* key in /stats.json */
    const char *prometheus; /* name in /metrics */
    const char *type;       /* "counter" or "gauge" */
    const char *help;
};

extern const struct metric_words frontend_metric_words[FRONTEND_METRIC_COUNT];
extern const struct metric_words server_metric_words[SERVER_METRIC_COUNT];

/* One worker's counters. The tables are owned by the control thread, who lends them. */
struct metrics {
    struct frontend_counters **frontends; /* by frontend index */
    struct server_counters **servers;     /* by server id */
    size_t frontend_count;
    size_t server_count;
};

/* All zero. */
void metrics_init(struct metrics *m, const struct config *config);
/* Tables for `config`, which lead to the slots of `old` and, behind them, to new ones that are
 * zero. Of `old` only its tables may be freed then (metrics_forget). */
void metrics_extend(struct metrics *m, const struct metrics *old, const struct config *config);
void metrics_forget(struct metrics *m);  /* the tables, not the slots */
void metrics_release(struct metrics *m); /* all of it */

/* Only the owning worker calls this. */
static inline void metric_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

/* Any thread. */
static inline uint64_t metric_read(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
