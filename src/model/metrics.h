/* Counters. Each worker writes its own padded slots, the control thread sums them up: relaxed
 * atomics with one writer each, no read-modify-write. */
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

/* One worker's counters. */
struct metrics {
    struct frontend_counters *frontends; /* inside the block, by frontend index */
    struct server_counters *servers;     /* inside the block, by server id */
    void *block;                         /* owned */
};

/* All zero. */
void metrics_init(struct metrics *m, const struct config *config);
void metrics_release(struct metrics *m);

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
