/* A configuration made by hand: one frontend, one backend, servers named s0, s1, ... */
#ifndef TEST_ROUTING_FIXTURE_H
#define TEST_ROUTING_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/config.h"

static inline struct config *fixture_config(size_t servers)
{
    struct config *c = xcalloc(1, sizeof(*c));
    c->frontends = xcalloc(1, sizeof(*c->frontends));
    c->frontend_count = 1;
    c->backends = xcalloc(1, sizeof(*c->backends));
    c->backend_count = 1;
    c->server_count = servers;
    c->backends[0].servers.items = xcalloc(servers, sizeof(struct server_config));
    c->backends[0].servers.count = servers;
    for (size_t i = 0; i < servers; i++) {
        struct server_config *s = &c->backends[0].servers.items[i];
        char name[32];
        snprintf(name, sizeof(name), "s%zu", i);
        *s = (struct server_config){.name = xstrdup(name), .weight = 1, .id = i};
    }
    return c;
}

static inline void fixture_free(struct config *c)
{
    for (size_t i = 0; i < c->backends[0].servers.count; i++) {
        free(c->backends[0].servers.items[i].name);
    }
    free(c->backends[0].servers.items);
    free(c->backends);
    free(c->frontends);
    free(c);
}

#endif
