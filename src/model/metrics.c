#include "model/metrics.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/config.h"

#define WORDS(name, json, prometheus, type, help) [name] = {json, prometheus, type, help},
#define NO_WORDS(...)
#define METRIC(scope, name, json, prometheus, type, help)                                          \
    scope(scope##_##name, json, prometheus, #type, help)

const struct metric_words frontend_metric_words[FRONTEND_METRIC_COUNT] = {
#define FRONTEND WORDS
#define SERVER   NO_WORDS
#include "model/metrics.def"
#undef FRONTEND
#undef SERVER
};

const struct metric_words server_metric_words[SERVER_METRIC_COUNT] = {
#define FRONTEND NO_WORDS
#define SERVER   WORDS
#include "model/metrics.def"
#undef FRONTEND
#undef SERVER
};

void metrics_init(struct metrics *m, const struct config *config)
{
    metrics_extend(m, &(struct metrics){0}, config);
}

void metrics_extend(struct metrics *m, const struct metrics *old, const struct config *config)
{
    assert(config->frontend_count >= old->frontend_count);
    assert(config->server_count >= old->server_count);
    *m = (struct metrics){
        .frontends = xcalloc(config->frontend_count + 1, sizeof(*m->frontends)),
        .servers = xcalloc(config->server_count + 1, sizeof(*m->servers)),
        .frontend_count = config->frontend_count,
        .server_count = config->server_count,
    };
    for (size_t i = 0; i < m->frontend_count; i++) {
        m->frontends[i] = i < old->frontend_count
                              ? old->frontends[i]
                              : xcalloc_aligned(CACHE_LINE, sizeof(**m->frontends));
    }
    for (size_t i = 0; i < m->server_count; i++) {
        m->servers[i] = i < old->server_count ? old->servers[i]
                                              : xcalloc_aligned(CACHE_LINE, sizeof(**m->servers));
    }
}

void metrics_forget(struct metrics *m)
{
    free(m->frontends);
    free(m->servers);
    *m = (struct metrics){0};
}

void metrics_release(struct metrics *m)
{
    for (size_t i = 0; i < m->frontend_count; i++) {
        free(m->frontends[i]);
    }
    for (size_t i = 0; i < m->server_count; i++) {
        free(m->servers[i]);
    }
    metrics_forget(m);
}
