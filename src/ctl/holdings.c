#include "ctl/holdings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/control.h"

struct holding {
    unsigned now;
    unsigned told;
};

struct holdings {
    struct holding router;
    struct holding *frontends; /* owned, by index */
    size_t frontend_count;
    struct holding *servers; /* owned, by id */
    size_t server_count;
};

struct holdings *holdings_new(struct control *c)
{
    struct holdings *h = xcalloc(1, sizeof *h);
    *h = (struct holdings){
        .frontends = xcalloc(c->config->frontend_count + 1, sizeof *h->frontends),
        .frontend_count = c->config->frontend_count,
        .servers = xcalloc(c->config->server_count + 1, sizeof *h->servers),
        .server_count = c->config->server_count,
    };
    return h;
}

void holdings_free(struct holdings *h)
{
    if (h != NULL) {
        free(h->frontends);
        free(h->servers);
        free(h);
    }
}

/* The old process --------------------------------------------------------------------------- */

static bool set(struct holding *h, unsigned now)
{
    bool changed = h->now != now;
    h->now = now;
    return changed;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool is_pooled(const struct config *c, size_t backend)
{
    bool pooled = false;
    for (size_t i = 0; i < c->frontend_count && !pooled; i++) {
        const struct frontend_config *f = &c->frontends[i];
        bool leads = f->backend == backend;
        for (size_t k = 0; k < f->sni.count; k++) {
            leads = leads || f->sni.items[k].backend == backend;
        }
        pooled = leads && f->pool_mode != POOL_NONE;
    }
    return pooled;
}

/* Clients that have no connection to a server of the backend yet and may want one. Those of a pool
 * get on with as many as they have, but want them elsewhere when the primary changes. */
static unsigned without_server(const struct control *c, const struct backend_config *b, bool pooled)
{
    unsigned users = atomic_load(&c->shared->backends[b->index]->users);
    unsigned connected = 0;
    for (size_t i = 0; i < b->servers.count; i++) {
        connected += atomic_load(&c->shared->servers[b->servers.items[i].id]->connections);
    }
    unsigned without = users > connected ? users - connected : 0;
    if (config_lends(c->config, b)) {
        return least(without, c->worker_count); /* they get those of others who leave */
    }
    return pooled ? least(users, connected + c->worker_count) : without;
}

/* What this server may have of our connections from now on: those that there are, and what clients
 * may still need, but never more than it was before. Nobody takes a place while it is counted. */
static unsigned limit(struct shared_server *s, unsigned cap, unsigned wanting)
{
    unsigned before = atomic_exchange(&s->bound, 1);
    unsigned in_use = atomic_load(&s->connections);
    unsigned most = in_use + wanting;
    most = cap > 0 ? least(most, cap) : most;
    most = before > 0 ? least(most, before - 1) : most;
    most = most > in_use ? most : in_use;
    atomic_store(&s->bound, most + 1);
    return most;
}

static bool look_at_backend(struct holdings *h, struct control *c, const struct backend_config *b)
{
    bool changed = false;
    bool pooled = is_pooled(c->config, b->index);
    unsigned wanting = without_server(c, b, pooled);
    for (size_t i = 0; i < b->servers.count; i++) {
        const struct server_config *s = &b->servers.items[i];
        struct shared_server *shared = c->shared->servers[s->id];
        /* What a pool needs goes up and down: no bound where there is none for the other process.
         */
        unsigned most = pooled && s->max_connections == 0
                            ? atomic_load(&shared->connections)
                            : limit(shared, s->max_connections, wanting);
        changed = set(&h->servers[s->id], most) || changed;
    }
    return changed;
}

bool holdings_look(struct holdings *h, struct control *c)
{
    bool changed = set(&h->router, atomic_load(&c->shared->router->sessions));
    for (size_t i = 0; i < h->frontend_count; i++) {
        changed = set(&h->frontends[i], atomic_load(&c->shared->frontends[i]->sessions)) || changed;
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        changed = look_at_backend(h, c, &c->config->backends[i]) || changed;
    }
    return changed;
}

void holdings_unlimit(struct control *c)
{
    for (size_t i = 0; i < c->shared->server_count; i++) {
        atomic_store(&c->shared->servers[i]->bound, 0);
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        waiting_serve(c->backends[i]);
    }
}

static bool is_news(struct holding *h)
{
    bool news = h->now != h->told;
    h->told = h->now;
    return news;
}

void holdings_print(struct holdings *h, const struct control *c, struct text *out)
{
    if (is_news(&h->router)) {
        text_add(out, "router %u\n", h->router.now);
    }
    for (size_t i = 0; i < h->frontend_count; i++) {
        if (!c->config->frontends[i].gone && is_news(&h->frontends[i])) {
            text_add(out, "frontend %s %u\n", c->config->frontends[i].name, h->frontends[i].now);
        }
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        const struct backend_config *b = &c->config->backends[i];
        for (size_t k = 0; k < b->servers.count; k++) {
            const struct server_config *s = &b->servers.items[k];
            if (!b->gone && !s->gone && is_news(&h->servers[s->id])) {
                text_add(out, "server %s %s %s %u\n", b->name, s->name, s->address_text,
                         h->servers[s->id].now);
            }
        }
    }
}

/* The new process --------------------------------------------------------------------------- */

/* `h` is counted in `count` as our own. */
static bool count_as(struct holding *h, atomic_uint *count, unsigned now)
{
    bool less = now < h->now;
    if (less) {
        atomic_fetch_sub(count, h->now - now);
    } else {
        atomic_fetch_add(count, now - h->now);
    }
    h->now = now;
    return less;
}

static void take_frontend(struct holdings *h, struct control *c, const char *name, unsigned now)
{
    for (size_t i = 0; i < h->frontend_count; i++) {
        const struct frontend_config *f = &c->config->frontends[i];
        if (!f->gone && strcmp(f->name, name) == 0) {
            count_as(&h->frontends[i], &c->shared->frontends[i]->sessions, now);
        }
    }
}

static void count_server(struct holdings *h, struct control *c, size_t backend, size_t id,
                         unsigned now)
{
    if (id < h->server_count &&
        count_as(&h->servers[id], &c->shared->servers[id]->connections, now)) {
        waiting_serve(c->backends[backend]);
    }
}

static void take_server(struct holdings *h, struct control *c, const char *backend,
                        const char *name, const char *at, unsigned now)
{
    for (size_t i = 0; i < c->config->backend_count; i++) {
        const struct backend_config *b = &c->config->backends[i];
        for (size_t k = 0; strcmp(b->name, backend) == 0 && k < b->servers.count; k++) {
            const struct server_config *s = &b->servers.items[k];
            if (strcmp(s->name, name) == 0 && strcmp(s->address_text, at) == 0) {
                count_server(h, c, i, s->id, now);
            }
        }
    }
}

void holdings_take(struct holdings *h, struct control *c, const char *line)
{
    char first[128];
    char second[128];
    char third[256];
    unsigned now;
    if (sscanf(line, "router %u", &now) == 1) {
        count_as(&h->router, &c->shared->router->sessions, now);
    } else if (sscanf(line, "frontend %127s %u", first, &now) == 2) {
        take_frontend(h, c, first, now);
    } else if (sscanf(line, "server %127s %127s %255s %u", first, second, third, &now) == 4) {
        take_server(h, c, first, second, third, now);
    }
}

void holdings_drop(struct holdings *h, struct control *c)
{
    count_as(&h->router, &c->shared->router->sessions, 0);
    for (size_t i = 0; i < h->frontend_count; i++) {
        count_as(&h->frontends[i], &c->shared->frontends[i]->sessions, 0);
    }
    for (size_t i = 0; i < h->server_count; i++) {
        count_as(&h->servers[i], &c->shared->servers[i]->connections, 0);
    }
    for (size_t i = 0; i < c->config->backend_count; i++) {
        waiting_serve(c->backends[i]);
    }
}
