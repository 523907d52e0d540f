/* A snapshot is one block of memory: the struct, its backends, then the servers of all backends. */
#include "model/topology.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

struct topology *topology_new(const struct config *config)
{
    size_t head = sizeof(struct topology) + config->backend_count * sizeof(struct topology_backend);
    struct topology *t = calloc(1, head + config->server_count * sizeof(struct topology_server));
    if (t == NULL) {
        return NULL;
    }
    atomic_init(&t->references, 1);
    t->config = config;
    struct topology_server *servers = (void *)((char *)t + head);
    for (size_t b = 0; b < config->backend_count; b++) {
        t->backends[b] = (struct topology_backend){.primary = -1, .servers = servers};
        servers += config->backends[b].servers.count;
    }
    return t;
}

struct topology *topology_ref(struct topology *t)
{
    /* Relaxed: whoever takes a reference holds one already. */
    unsigned before = atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return t;
}

void topology_unref(struct topology *t)
{
    /* Release: our reads of it happen before the free; acquire: those of all others too. */
    unsigned before = atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        free(t);
    }
}

struct shared *shared_new(const struct config *config, unsigned max_sessions)
{
    size_t size = sizeof(struct shared) + config->frontend_count * sizeof(struct shared_frontend) +
                  config->backend_count * sizeof(struct shared_backend) +
                  config->server_count * sizeof(struct shared_server);
    char *block = xcalloc(1, size + CACHE_LINE - 1);
    char *at = block + (CACHE_LINE - (uintptr_t)block % CACHE_LINE) % CACHE_LINE;
    /* Each struct's size is a multiple of a cache line, so all of them are aligned. */
    struct shared *s = (void *)at;
    s->block = block;
    s->max_sessions = max_sessions;
    s->frontends = (void *)(s + 1);
    s->backends = (void *)(s->frontends + config->frontend_count);
    s->servers = (void *)(s->backends + config->backend_count);
    return s;
}

void shared_free(struct shared *s)
{
    if (s != NULL) {
        free(s->block);
    }
}

bool shared_claim(atomic_uint *count, unsigned cap)
{
    /* An add that is taken back when it was one too many would exceed the cap for a moment. */
    unsigned now = atomic_load(count);
    do {
        if (cap != 0 && now >= cap) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(count, &now, now + 1));
    return true;
}

void shared_release(atomic_uint *count)
{
    unsigned before = atomic_fetch_sub(count, 1);
    assert(before > 0);
    (void)before;
}
