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

/* Removed ones are not asked: whatever they could do, nobody comes to them any more. */
static const struct greeting *greeting_of(const struct topology *t, size_t backend, size_t server)
{
    const struct greeting *g = &t->backends[backend].servers[server].greeting;
    bool known = g->version[0] != '\0' && !t->config->backends[backend].servers.items[server].gone;
    return known ? g : NULL;
}

bool topology_greeting(const struct topology *t, size_t backend, struct greeting *out)
{
    const struct greeting *model = NULL;
    uint32_t capabilities = UINT32_MAX;
    uint32_t extended = UINT32_MAX;
    for (size_t i = 0; i < t->config->backends[backend].servers.count; i++) {
        const struct greeting *g = greeting_of(t, backend, i);
        if (g == NULL) {
            continue;
        }
        model = model == NULL || t->backends[backend].primary == (int)i ? g : model;
        capabilities &= g->capabilities;
        extended &= g->extended;
    }
    if (model == NULL) {
        return false;
    }
    *out = *model;
    out->capabilities = capabilities;
    out->extended = extended;
    return true;
}

/* A table of `count` counters of `size` bytes each, of which the first ones are there. */
static void *extend(void *const *old, size_t old_count, size_t count, size_t size)
{
    assert(count >= old_count);
    void **table = xcalloc(count + 1, sizeof(*table));
    for (size_t i = 0; i < count; i++) {
        table[i] = i < old_count ? old[i] : xcalloc_aligned(CACHE_LINE, size);
    }
    return table;
}

struct shared *shared_extend(const struct shared *old, const struct config *config,
                             unsigned max_sessions)
{
    struct shared *s = xcalloc(1, sizeof *s);
    *s = (struct shared){
        .max_sessions = max_sessions,
        .router = old->router != NULL ? old->router : xcalloc_aligned(CACHE_LINE, CACHE_LINE),
        .frontends = extend((void *const *)old->frontends, old->frontend_count,
                            config->frontend_count, sizeof(struct shared_frontend)),
        .backends = extend((void *const *)old->backends, old->backend_count, config->backend_count,
                           sizeof(struct shared_backend)),
        .servers = extend((void *const *)old->servers, old->server_count, config->server_count,
                          sizeof(struct shared_server)),
        .frontend_count = config->frontend_count,
        .backend_count = config->backend_count,
        .server_count = config->server_count,
    };
    return s;
}

struct shared *shared_new(const struct config *config, unsigned max_sessions)
{
    return shared_extend(&(struct shared){0}, config, max_sessions);
}

void shared_forget(struct shared *s)
{
    free(s->frontends);
    free(s->backends);
    free(s->servers);
    free(s);
}

void shared_free(struct shared *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->frontend_count; i++) {
        free(s->frontends[i]);
    }
    for (size_t i = 0; i < s->backend_count; i++) {
        free(s->backends[i]);
    }
    for (size_t i = 0; i < s->server_count; i++) {
        free(s->servers[i]);
    }
    free(s->router);
    shared_forget(s);
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

void shared_note_peak(atomic_uint *peak, const atomic_uint *count)
{
    unsigned now = atomic_load_explicit(count, memory_order_relaxed);
    unsigned most = atomic_load_explicit(peak, memory_order_relaxed);
    while (now > most && !atomic_compare_exchange_weak_explicit(
                             peak, &most, now, memory_order_relaxed, memory_order_relaxed)) {
    }
}
