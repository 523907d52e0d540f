/* One backend whose servers have roles, and what it takes to pick one of them. */
#ifndef TEST_ROUTE_WORLD_H
#define TEST_ROUTE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/route.h"
#include "routing_fixture.h"

#define SERVERS 4

/* s0 is the primary, the others are replicas, all open. */
struct world {
    struct config *config;
    struct topology *topology;
    struct shared *shared;
    struct balance_state balance;
    struct route_request request;
};

static inline int world_setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    w->config = fixture_config(SERVERS);
    w->topology = topology_new(w->config);
    w->shared = shared_new(w->config, 0);
    w->request = (struct route_request){.route = ROUTE_ANY, .fallback = FALLBACK_PRIMARY};
    balance_state_init(&w->balance, 0);
    w->topology->backends[0].primary = 0;
    for (size_t i = 0; i < SERVERS; i++) {
        w->topology->backends[0].servers[i] = (struct topology_server){
            .role = i == 0 ? ROLE_PRIMARY : ROLE_REPLICA,
            .access = ACCESS_OPEN,
        };
    }
    *state = w;
    return 0;
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    balance_state_release(&w->balance);
    shared_free(w->shared);
    topology_unref(w->topology);
    fixture_free(w->config);
    free(w);
    return 0;
}

static inline struct server_config *server(struct world *w, size_t i)
{
    return &w->config->backends[0].servers.items[i];
}

static inline void set_access(struct world *w, size_t i, enum access access)
{
    w->topology->backends[0].servers[i].access = access;
}

#endif
