/* A control thread's state made by hand, for the tests of what is printed of it: two servers of
 * Redis and one of TCP, a frontend for each backend, two workers. */
#ifndef ROUTER_TEST_STATS_WORLD_H
#define ROUTER_TEST_STATS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "ctl/control.h"
#include "proto/proto.h"

#define WORKERS 2

struct world {
    struct config config;
    struct frontend_config frontends[2];
    struct bind_config binds[2];
    struct backend_config backends[2];
    struct server_config servers[3];
    struct certificates certificates;
    struct control control;
    struct control_worker workers[WORKERS];
    struct metrics metrics[WORKERS];
    struct backend_control backend_controls[2];
    struct backend_control *controls[2];
    struct server_control server_controls[3];
    struct text out;
};

static inline void make_config(struct world *w)
{
    static const char *const names[] = {"r0", "r\"1\\", "t0"};
    for (size_t i = 0; i < 3; i++) {
        w->servers[i] = (struct server_config){
            .name = (char *)names[i], .address_text = "10.0.0.1:1", .weight = 1, .id = i};
        w->server_controls[i].config = &w->servers[i];
    }
    w->backends[0] = (struct backend_config){
        .name = "redis", .protocol = &proto_redis, .servers = {w->servers, 2}, .queue_limit = 1024};
    w->backends[1] = (struct backend_config){
        .name = "hubs", .index = 1, .protocol = &proto_tcp, .servers = {w->servers + 2, 1}};
    w->binds[0].text = "127.0.0.1:6379";
    w->binds[1].text = "unix:/run/a";
    w->frontends[0] = (struct frontend_config){
        .name = "write", .route = ROUTE_PRIMARY, .backend = 0, .binds = {w->binds, 2}};
    w->frontends[1] = (struct frontend_config){
        .name = "hub", .route = ROUTE_ANY, .index = 1, .backend = 1, .binds = {w->binds, 1}};
    w->config = (struct config){.frontends = w->frontends,
                                .frontend_count = 2,
                                .backends = w->backends,
                                .backend_count = 2,
                                .server_count = 3};
}

static inline int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    log_set_level(LOG_LEVEL_ERROR);
    make_config(w);
    struct control *c = &w->control;
    assert_int_equal(loop_init(&c->loop, c), 0);
    char why[CERTIFICATES_WHY_MAX];
    assert_int_equal(certificates_init(&w->certificates, &w->config, why), 0);
    c->certificates = &w->certificates;
    c->config = &w->config;
    c->shared = shared_new(&w->config, 1000);
    c->workers = w->workers;
    c->worker_count = WORKERS;
    c->published = topology_new(&w->config);
    c->backends = w->controls;
    for (size_t b = 0; b < 2; b++) {
        w->controls[b] = &w->backend_controls[b];
        w->backend_controls[b] = (struct backend_control){.control = c,
                                                          .config = &w->backends[b],
                                                          .servers = &w->server_controls[b * 2],
                                                          .memory.incumbent = ELECTION_NOBODY,
                                                          .verdict.primary = ELECTION_NOBODY};
    }
    for (size_t i = 0; i < WORKERS; i++) {
        metrics_init(&w->metrics[i], &w->config);
        w->workers[i].metrics = w->metrics[i];
    }
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < WORKERS; i++) {
        metrics_release(&w->metrics[i]);
    }
    tally_release(&w->control.tally);
    topology_unref(w->control.published);
    shared_free(w->control.shared);
    certificates_release(&w->certificates);
    loop_stop(&w->control.loop);
    loop_run(&w->control.loop);
    assert_int_equal(loop_release(&w->control.loop), 0);
    text_free(&w->out);
    free(w);
    return 0;
}

static inline void assert_says(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("%s\nis not in\n%s", words, text);
    }
}

#endif
