#include "model/metrics.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/config.h"

/* Each from what is quick to what is worth a look; the same number for all. */
const uint64_t histogram_bounds[HISTOGRAM_COUNT][HISTOGRAM_BOUNDS] = {
    /* 100 us to 2.5 s: the next rack, another site, a lost SYN (1 s) */
    [HISTOGRAM_CONNECT] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
                           500000, 1000000, 2500000},
    /* 1 ms to 1 min: a crowd, a switchover, a failover, queue_timeout */
    [HISTOGRAM_QUEUE] = {1000, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
                         5000000, 10000000, 30000000, 60000000},
    /* 1 ms to a week: a request, a job, a pool's connection, a hub's relay */
    [HISTOGRAM_SESSION] = {1000, 10000, 100000, 1000000, 5000000, 15000000, 60000000, 300000000,
                           900000000, 3600000000, 14400000000, 43200000000, 86400000000,
                           604800000000},
    /* 50 us to 1 s: a GET beside us, one in another zone, a scan of many keys, a script */
    [HISTOGRAM_COMMAND] = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
                           500000, 1000000},
};

#define WORDS(name, ...) [name] = {__VA_ARGS__},
#define NO_WORDS(...)
#define METRIC(scope, name, json, prometheus, type, help)                                          \
    scope(scope##_##name, METRIC_##type, json, prometheus, help, HISTOGRAM_COUNT, NULL, NULL)
#define GAUGE(scope, name, prometheus, label, value, help)                                         \
    scope(scope##_##name, METRIC_gauge, NULL, prometheus, help, HISTOGRAM_COUNT, label, value)
#define HISTOGRAM(scope, name, prometheus, kind, help)                                             \
    scope(scope##_##name, METRIC_histogram, NULL, prometheus, help, HISTOGRAM_##kind, NULL, NULL)

const struct metric_words frontend_metric_words[FRONTEND_METRIC_COUNT] = {
#define FRONTEND WORDS
#define BACKEND  NO_WORDS
#define SERVER   NO_WORDS
#include "model/metrics.def"
#undef FRONTEND
#undef BACKEND
#undef SERVER
};

const struct metric_words backend_metric_words[BACKEND_METRIC_COUNT] = {
#define FRONTEND NO_WORDS
#define BACKEND  WORDS
#define SERVER   NO_WORDS
#include "model/metrics.def"
#undef FRONTEND
#undef BACKEND
#undef SERVER
};

const struct metric_words server_metric_words[SERVER_METRIC_COUNT] = {
#define FRONTEND NO_WORDS
#define BACKEND  NO_WORDS
#define SERVER   WORDS
#include "model/metrics.def"
#undef FRONTEND
#undef BACKEND
#undef SERVER
};

const char *metric_type(enum metric_kind kind)
{
    return kind == METRIC_counter ? "counter" : kind == METRIC_histogram ? "histogram" : "gauge";
}

void metric_peak(_Atomic uint64_t *peak, uint64_t us)
{
    if (us > metric_read(peak)) {
        atomic_store_explicit(peak, us, memory_order_relaxed);
    }
}

/* The sum of the first METRIC_SAMPLES values; from then on each new one takes the place of what the
 * others are worth on average. */
void metric_average(_Atomic uint64_t average[SLOTS_average], uint64_t us)
{
    uint64_t sum = metric_read(&average[0]);
    uint64_t count = metric_read(&average[1]);
    sum -= count < METRIC_SAMPLES ? 0 : (sum + METRIC_SAMPLES - 1) / METRIC_SAMPLES;
    atomic_store_explicit(&average[0], sum + us, memory_order_relaxed);
    atomic_store_explicit(&average[1], count + 1, memory_order_relaxed);
}

void metric_observe(_Atomic uint64_t histogram[HISTOGRAM_SLOTS], enum histogram_kind kind,
                    uint64_t us)
{
    size_t at = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) { /* to guess where it ends would cost more */
        at += us > histogram_bounds[kind][i];
    }
    metric_add(&histogram[at], 1);
    metric_add(&histogram[HISTOGRAM_SUM], us);
}

/* The tables -------------------------------------------------------------------------------- */

void metrics_init(struct metrics *m, const struct config *config)
{
    metrics_extend(m, &(struct metrics){0}, config);
}

/* A table of `count` slots of `size` bytes each, of which the first ones are there. */
static void *extend(void *const *old, size_t old_count, size_t count, size_t size)
{
    assert(count >= old_count);
    void **table = xcalloc(count + 1, sizeof *table);
    for (size_t i = 0; i < count; i++) {
        table[i] = i < old_count ? old[i] : xcalloc_aligned(CACHE_LINE, size);
    }
    return table;
}

void metrics_extend(struct metrics *m, const struct metrics *old, const struct config *config)
{
    *m = (struct metrics){
        .frontends = extend((void *const *)old->frontends, old->frontend_count,
                            config->frontend_count, sizeof(struct frontend_counters)),
        .backends = extend((void *const *)old->backends, old->backend_count, config->backend_count,
                           sizeof(struct backend_counters)),
        .servers = extend((void *const *)old->servers, old->server_count, config->server_count,
                          sizeof(struct server_counters)),
        .frontend_count = config->frontend_count,
        .backend_count = config->backend_count,
        .server_count = config->server_count,
    };
}

void metrics_forget(struct metrics *m)
{
    free(m->frontends);
    free(m->backends);
    free(m->servers);
    *m = (struct metrics){0};
}

void metrics_release(struct metrics *m)
{
    for (size_t i = 0; i < m->frontend_count; i++) {
        free(m->frontends[i]);
    }
    for (size_t i = 0; i < m->backend_count; i++) {
        free(m->backends[i]);
    }
    for (size_t i = 0; i < m->server_count; i++) {
        free(m->servers[i]);
    }
    metrics_forget(m);
}
