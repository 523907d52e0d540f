#include "model/metrics.h"

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
    size_t size = config->frontend_count * sizeof(struct frontend_counters) +
                  config->server_count * sizeof(struct server_counters);
    char *block = xcalloc(1, size + CACHE_LINE - 1);
    char *at = block + (CACHE_LINE - (uintptr_t)block % CACHE_LINE) % CACHE_LINE;
    m->block = block;
    m->frontends = (void *)at;
    m->servers = (void *)(m->frontends + config->frontend_count);
}

void metrics_release(struct metrics *m)
{
    free(m->block);
    *m = (struct metrics){0};
}
