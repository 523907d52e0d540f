/* A pick gathers the servers that may serve into the state's scratch array, lets the algorithm
 * choose and claims the choice. Another worker may take the last place in between: then that server
 * leaves the array and the algorithm chooses again. */
#include "model/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

void balance_state_init(struct balance_state *state, uint64_t seed)
{
    *state = (struct balance_state){.random_state = seed, .shuffled = seed != 0};
}

/* A backend may have got more servers since. */
static void make_room(struct balance_state *state, size_t servers)
{
    if (servers <= state->servers) {
        return;
    }
    state->current = xrealloc(state->current, servers * sizeof(*state->current));
    state->candidates = xrealloc(state->candidates, servers * sizeof(*state->candidates));
    for (size_t i = state->servers; i < servers; i++) {
        state->current[i] =
            state->shuffled ? (int64_t)(balance_random_next(&state->random_state) % BALANCE_UNIT)
                            : 0;
    }
    state->servers = servers;
}

void balance_state_release(struct balance_state *state)
{
    free(state->current);
    free(state->candidates);
    *state = (struct balance_state){0};
}

static bool was_tried(const struct route_request *request, size_t server)
{
    for (size_t i = 0; i < request->tried_count; i++) {
        if (request->tried[i] == server) {
            return true;
        }
    }
    return false;
}

static bool may_serve(const struct topology_backend *b, const struct route_request *request,
                      enum route route, size_t server)
{
    if (b->servers[server].access != ACCESS_OPEN || was_tried(request, server)) {
        return false;
    }
    switch (route) {
    case ROUTE_PRIMARY:
        return b->primary >= 0 && (size_t)b->primary == server;
    case ROUTE_REPLICA:
        return b->servers[server].role == ROLE_REPLICA;
    default:
        return true;
    }
}

/* Fills state->candidates with who may serve, whatever its cap; returns how many. */
static size_t gather(const struct topology *t, struct shared *shared, struct balance_state *state,
                     const struct route_request *request, enum route route)
{
    const struct backend_config *config = &t->config->backends[request->backend];
    const struct topology_backend *b = &t->backends[request->backend];
    size_t count = 0;
    bool only_backups = true;
    make_room(state, config->servers.count);
    for (size_t i = 0; i < config->servers.count; i++) {
        const struct server_config *server = &config->servers.items[i];
        if ((server->backup && !only_backups) || !may_serve(b, request, route, i)) {
            continue;
        }
        if (!server->backup && only_backups) {
            only_backups = false;
            count = 0; /* the backups found so far */
        }
        state->candidates[count++] = (struct candidate){
            .server = (uint16_t)i,
            .weight = server->weight,
            .connections = atomic_load(&shared->servers[server->id]->connections),
        };
    }
    return count;
}

static size_t drop(struct candidate *c, size_t count, size_t at)
{
    memmove(&c[at], &c[at + 1], (count - at - 1) * sizeof(*c));
    return count - 1;
}

static size_t drop_full(const struct server_config *servers, struct candidate *c, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        unsigned cap = servers[c[i - 1].server].max_connections;
        if (cap != 0 && c[i - 1].connections >= cap) {
            count = drop(c, count, i - 1);
        }
    }
    return count;
}

/* In the order of the file, which is not that of the slots. */
static size_t first_listed(const struct server_config *servers, const struct candidate *c,
                           size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (servers[c[i].server].rank < servers[c[best].server].rank) {
            best = i;
        }
    }
    return best;
}

static size_t choose(const struct backend_config *config, struct balance_state *state, size_t count)
{
    const struct candidate *c = state->candidates;
    switch (config->balance) {
    case BALANCE_ROUND_ROBIN:
        return balance_round_robin(c, count, state->current);
    case BALANCE_LEAST_CONNECTIONS:
        return balance_least_connections(c, count);
    case BALANCE_RANDOM:
        return balance_random(c, count, &state->random_state);
    default:
        return first_listed(config->servers.items, c, count);
    }
}

bool route_claim(struct shared *shared, const struct server_config *server)
{
    struct shared_server *s = shared->servers[server->id];
    unsigned cap = server->max_connections;
    unsigned bound = atomic_load(&s->bound);
    if (bound > 0 && (cap == 0 || bound - 1 < cap)) {
        cap = bound - 1;
    }
    bool claimed = (cap > 0 || bound == 0) && shared_claim(&s->connections, cap);
    if (claimed) {
        shared_note_peak(&s->connections_peak, &s->connections);
    }
    return claimed;
}

static size_t choose_by_hash(const struct server_config *servers, struct candidate *c, size_t count,
                             uint64_t client_hash)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = servers[c[i].server].name;
        c[i].name_hash = hash_bytes(name, strlen(name));
    }
    return balance_ip_hash(c, count, client_hash);
}

/* By the request's route, or by what it falls back to. */
static size_t gather_all(const struct topology *t, struct shared *shared,
                         struct balance_state *state, const struct route_request *request)
{
    assert(request->route != ROUTE_AUTO && request->route != ROUTE_SPLIT);
    size_t count = gather(t, shared, state, request, request->route);
    if (count == 0 && request->route == ROUTE_REPLICA && request->fallback == FALLBACK_PRIMARY) {
        count = gather(t, shared, state, request, ROUTE_PRIMARY);
    }
    return count;
}

enum route_result route_pick(const struct topology *t, struct shared *shared,
                             struct balance_state *state, const struct route_request *request,
                             size_t *server)
{
    const struct backend_config *config = &t->config->backends[request->backend];
    const struct server_config *servers = config->servers.items;
    size_t count = gather_all(t, shared, state, request);
    if (count == 0) {
        return ROUTE_NONE;
    }
    if (config->balance == BALANCE_IP_HASH) {
        size_t at = choose_by_hash(servers, state->candidates, count, request->client_hash);
        *server = state->candidates[at].server;
        return route_claim(shared, &servers[*server]) ? ROUTE_FOUND : ROUTE_FULL;
    }
    count = drop_full(servers, state->candidates, count);
    while (count > 0) {
        size_t at = choose(config, state, count);
        *server = state->candidates[at].server;
        if (route_claim(shared, &servers[*server])) {
            return ROUTE_FOUND;
        }
        count = drop(state->candidates, count, at);
    }
    return ROUTE_FULL;
}

enum route_result route_choose(const struct topology *t, struct shared *shared,
                               struct balance_state *state, const struct route_request *request,
                               size_t *server)
{
    const struct backend_config *config = &t->config->backends[request->backend];
    size_t count = gather_all(t, shared, state, request);
    if (count == 0) {
        return ROUTE_NONE;
    }
    size_t at =
        config->balance == BALANCE_IP_HASH
            ? choose_by_hash(config->servers.items, state->candidates, count, request->client_hash)
            : choose(config, state, count);
    *server = state->candidates[at].server;
    return ROUTE_FOUND;
}

/* Backups are behind all others, as in gather(). */
static bool is_before(const struct server_config *one, const struct server_config *two)
{
    return one->backup != two->backup ? two->backup : one->rank < two->rank;
}

bool route_first_replica(const struct topology *t, const struct route_request *request,
                         size_t *server)
{
    const struct server_list *servers = &t->config->backends[request->backend].servers;
    const struct topology_backend *b = &t->backends[request->backend];
    bool found = false;
    for (size_t i = 0; i < servers->count; i++) {
        if (may_serve(b, request, ROUTE_REPLICA, i) &&
            (!found || is_before(&servers->items[i], &servers->items[*server]))) {
            *server = i;
            found = true;
        }
    }
    if (!found && request->fallback == FALLBACK_PRIMARY && b->primary >= 0 &&
        may_serve(b, request, ROUTE_PRIMARY, (size_t)b->primary)) {
        *server = (size_t)b->primary;
        found = true;
    }
    return found;
}

bool route_allows(const struct topology *t, size_t backend, size_t server, enum route route)
{
    const struct topology_backend *b = &t->backends[backend];
    if (b->servers[server].access < ACCESS_QUIET) {
        return false;
    }
    return route != ROUTE_PRIMARY || (b->primary >= 0 && (size_t)b->primary == server);
}
