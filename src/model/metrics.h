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

/* How many values an average looks back on. */
#define METRIC_SAMPLES 1024

/* A histogram's slots: the values up to each of its bounds and above the bound before, those above
 * all of them, and the sum of all values. */
#define HISTOGRAM_BOUNDS 14
#define HISTOGRAM_ABOVE  HISTOGRAM_BOUNDS
#define HISTOGRAM_SUM    (HISTOGRAM_BOUNDS + 1)
#define HISTOGRAM_SLOTS  (HISTOGRAM_BOUNDS + 2)

enum histogram_kind {
    HISTOGRAM_CONNECT,
    HISTOGRAM_QUEUE,
    HISTOGRAM_SESSION,
    HISTOGRAM_COMMAND,
    HISTOGRAM_COUNT
};
extern const uint64_t histogram_bounds[HISTOGRAM_COUNT][HISTOGRAM_BOUNDS]; /* in us */

enum metric_kind {
    METRIC_HOLE,      /* another slot of the metric before */
    METRIC_counter,   /* workers' values are added up */
    METRIC_gauge,     /* the same, of what there is now: it goes down too, and is never cleared */
    METRIC_peak,      /* us; the greatest of the workers' values */
    METRIC_average,   /* us; two slots: a sum that forgets, and how many values there ever were */
    METRIC_histogram, /* us */
};

/* A metric's name is its first slot, its name with _LAST the last one. */
#define SLOTS_counter     1
#define SLOTS_gauge       1
#define SLOTS_peak        1
#define SLOTS_average     2
#define SLOT(name, slots) name, name##_LAST = name + (slots)-1,
#define NO_SLOT(name, slots)
#define METRIC(scope, name, json, prometheus, type, help)  scope(scope##_##name, SLOTS_##type)
#define GAUGE(scope, name, prometheus, label, value, help) scope(scope##_##name, SLOTS_gauge)
#define HISTOGRAM(scope, name, prometheus, kind, help)     scope(scope##_##name, HISTOGRAM_SLOTS)

enum frontend_metric {
#define FRONTEND SLOT
#define BACKEND  NO_SLOT
#define SERVER   NO_SLOT
#include "model/metrics.def"
#undef FRONTEND
#undef BACKEND
#undef SERVER
    FRONTEND_METRIC_COUNT
};

enum backend_metric {
#define FRONTEND NO_SLOT
#define BACKEND  SLOT
#define SERVER   NO_SLOT
#include "model/metrics.def"
#undef FRONTEND
#undef BACKEND
#undef SERVER
    BACKEND_METRIC_COUNT
};

enum server_metric {
#define FRONTEND NO_SLOT
#define BACKEND  NO_SLOT
#define SERVER   SLOT
#include "model/metrics.def"
#undef FRONTEND
#undef BACKEND
#undef SERVER
    SERVER_METRIC_COUNT
};

#undef METRIC
#undef GAUGE
#undef HISTOGRAM

struct frontend_counters {
    _Alignas(CACHE_LINE) _Atomic uint64_t at[FRONTEND_METRIC_COUNT];
};

struct backend_counters {
    _Alignas(CACHE_LINE) _Atomic uint64_t at[BACKEND_METRIC_COUNT];
};

struct server_counters {
    _Alignas(CACHE_LINE) _Atomic uint64_t at[SERVER_METRIC_COUNT];
};

/* What a metric is called; at its first slot. */
struct metric_words {
    enum metric_kind kind;
    const char *json;       /* key in /stats.json; NULL of a histogram, and of a gauge */
    const char *prometheus; /* name in /metrics */
    const char *help;       /* NULL: it is of the family of the one before */
    enum histogram_kind histogram;
    const char *label; /* of a gauge: what tells it from others in its family; NULL = nothing */
    const char *value;
};

/* "counter", "gauge" or "histogram". */
const char *metric_type(enum metric_kind kind);
extern const struct metric_words frontend_metric_words[FRONTEND_METRIC_COUNT];
extern const struct metric_words backend_metric_words[BACKEND_METRIC_COUNT];
extern const struct metric_words server_metric_words[SERVER_METRIC_COUNT];

/* One worker's counters. The tables are owned by the control thread, who lends them. */
struct metrics {
    struct frontend_counters **frontends; /* by frontend index */
    struct backend_counters **backends;   /* by backend index */
    struct server_counters **servers;     /* by server id */
    size_t frontend_count;
    size_t backend_count;
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

/* A gauge goes down. */
static inline void metric_sub(_Atomic uint64_t *gauge, uint64_t n)
{
    metric_add(gauge, -n);
}

/* Only the owning worker calls these; `us` is in microseconds. */
void metric_peak(_Atomic uint64_t *peak, uint64_t us);
void metric_average(_Atomic uint64_t average[SLOTS_average], uint64_t us);
void metric_observe(_Atomic uint64_t histogram[HISTOGRAM_SLOTS], enum histogram_kind kind,
                    uint64_t us);

/* Any thread. */
static inline uint64_t metric_read(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
