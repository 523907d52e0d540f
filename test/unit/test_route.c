#include <pthread.h>

#include "base/hash.h"
#include "base/macros.h"
#include "route_world.h"

static enum route_result pick(struct world *w, size_t *got)
{
    *got = SIZE_MAX;
    return route_pick(w->topology, w->shared, &w->balance, &w->request, got);
}

static void assert_picks(struct world *w, size_t want)
{
    size_t got;
    assert_int_equal(pick(w, &got), ROUTE_FOUND);
    assert_int_equal(got, want);
}

static void assert_result(struct world *w, enum route_result want)
{
    size_t got;
    assert_int_equal(pick(w, &got), want);
}

/* Which servers `count` picks go to, as a bit set. */
static unsigned picked(struct world *w, int count)
{
    unsigned set = 0;
    for (int i = 0; i < count; i++) {
        size_t got;
        assert_int_equal(pick(w, &got), ROUTE_FOUND);
        set |= 1U << got;
        shared_release(&w->shared->servers[got]->connections);
    }
    return set;
}

static void the_primary_route_takes_the_primary_only(void **state)
{
    struct world *w = *state;
    w->request.route = ROUTE_PRIMARY;
    assert_int_equal(picked(w, 20), 1);
    server(w, 0)->backup = true;
    assert_int_equal(picked(w, 20), 1);
    w->topology->backends[0].primary = -1;
    assert_result(w, ROUTE_NONE);
}

static void the_primary_route_waits_while_the_primary_is_not_open(void **state)
{
    struct world *w = *state;
    w->request.route = ROUTE_PRIMARY;
    for (enum access a = ACCESS_NONE; a < ACCESS_OPEN; a++) {
        set_access(w, 0, a);
        assert_result(w, ROUTE_NONE);
    }
}

static void the_replica_route_takes_open_replicas(void **state)
{
    struct world *w = *state;
    w->request.route = ROUTE_REPLICA;
    assert_int_equal(picked(w, 20), 0xe);
    set_access(w, 2, ACCESS_QUIET);
    assert_int_equal(picked(w, 20), 0xa);
    w->topology->backends[0].servers[3].role = ROLE_UNKNOWN;
    assert_int_equal(picked(w, 20), 0x2);
}

static void without_a_replica_the_route_falls_back_as_configured(void **state)
{
    struct world *w = *state;
    w->request.route = ROUTE_REPLICA;
    for (size_t i = 1; i < SERVERS; i++) {
        set_access(w, i, ACCESS_NONE);
    }
    assert_int_equal(picked(w, 5), 0x1);
    w->request.fallback = FALLBACK_NONE;
    assert_result(w, ROUTE_NONE);
    w->request.fallback = FALLBACK_PRIMARY;
    set_access(w, 0, ACCESS_QUIET);
    assert_result(w, ROUTE_NONE);
}

static void full_replicas_do_not_fall_back(void **state)
{
    struct world *w = *state;
    w->request.route = ROUTE_REPLICA;
    for (size_t i = 1; i < SERVERS; i++) {
        server(w, i)->max_connections = 1;
    }
    unsigned set = 0;
    for (size_t i = 1; i < SERVERS; i++) {
        size_t got;
        assert_int_equal(pick(w, &got), ROUTE_FOUND);
        set |= 1U << got;
    }
    assert_int_equal(set, 0xe);
    assert_result(w, ROUTE_FULL);
    shared_release(&w->shared->servers[2]->connections);
    assert_picks(w, 2);
    assert_result(w, ROUTE_FULL);
}

static void the_any_route_takes_every_open_server(void **state)
{
    struct world *w = *state;
    assert_int_equal(picked(w, 20), 0xf);
    w->topology->backends[0].servers[1].role = ROLE_UNKNOWN;
    set_access(w, 2, ACCESS_DRAIN);
    assert_int_equal(picked(w, 20), 0xb);
}

static void what_was_tried_is_left_out(void **state)
{
    struct world *w = *state;
    const uint16_t tried[] = {0, 2, 1, 3};
    w->request.tried = tried;
    w->request.tried_count = 2;
    assert_int_equal(picked(w, 20), 0xa);
    w->request.tried_count = 4;
    assert_result(w, ROUTE_NONE);
    w->request.tried_count = 1;
    w->request.route = ROUTE_PRIMARY;
    assert_result(w, ROUTE_NONE);
}

static void when_all_replicas_were_tried_the_primary_is_next(void **state)
{
    struct world *w = *state;
    const uint16_t tried[] = {1, 2, 3};
    w->request.route = ROUTE_REPLICA;
    w->request.tried = tried;
    w->request.tried_count = ARRAY_LEN(tried);
    assert_picks(w, 0);
}

static void backups_serve_only_while_nobody_else_may(void **state)
{
    struct world *w = *state;
    server(w, 0)->backup = true;
    server(w, 3)->backup = true;
    assert_int_equal(picked(w, 20), 0x6);
    set_access(w, 1, ACCESS_QUIET);
    assert_int_equal(picked(w, 20), 0x4);
    set_access(w, 2, ACCESS_NONE);
    assert_int_equal(picked(w, 20), 0x9);
    w->request.route = ROUTE_REPLICA;
    assert_int_equal(picked(w, 20), 0x8);
}

static void a_full_server_is_no_reason_for_a_backup(void **state)
{
    struct world *w = *state;
    server(w, 3)->backup = true;
    for (size_t i = 0; i < 3; i++) {
        server(w, i)->max_connections = 1;
        assert_true(shared_claim(&w->shared->servers[i]->connections, 1));
    }
    assert_result(w, ROUTE_FULL);
}

static void first_fills_servers_in_order(void **state)
{
    struct world *w = *state;
    w->config->backends[0].balance = BALANCE_FIRST;
    for (size_t i = 0; i < SERVERS; i++) {
        server(w, i)->max_connections = 2;
    }
    for (size_t i = 0; i < SERVERS * 2; i++) {
        assert_picks(w, i / 2);
    }
    assert_result(w, ROUTE_FULL);
    shared_release(&w->shared->servers[1]->connections);
    assert_picks(w, 1);
}

/* While another process has the rest: the lower one of both counts, and 0 is a number. */
static void what_another_process_leaves_is_all_there_is(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < SERVERS; i++) {
        atomic_store(&w->shared->servers[i]->bound, 1 + (i == 1 ? 2 : 0));
        server(w, i)->max_connections = i == 1 ? 3 : 0;
    }
    assert_picks(w, 1);
    assert_picks(w, 1);
    assert_result(w, ROUTE_FULL);
    server(w, 1)->max_connections = 2;
    atomic_store(&w->shared->servers[1]->bound, 1 + 3);
    assert_result(w, ROUTE_FULL);
    atomic_store(&w->shared->servers[1]->bound, 0);
    assert_result(w, ROUTE_FULL);
    atomic_store(&w->shared->servers[2]->bound, 0);
    assert_picks(w, 2);
}

static void each_algorithm_picks_and_claims(void **state)
{
    struct world *w = *state;
    static const enum balance all[] = {BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS,
                                       BALANCE_IP_HASH, BALANCE_RANDOM, BALANCE_FIRST};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        size_t got;
        w->config->backends[0].balance = all[i];
        assert_int_equal(pick(w, &got), ROUTE_FOUND);
        assert_int_equal(atomic_load(&w->shared->servers[got]->connections), 1);
        shared_release(&w->shared->servers[got]->connections);
    }
}

static void least_connections_counts_what_was_claimed(void **state)
{
    struct world *w = *state;
    w->config->backends[0].balance = BALANCE_LEAST_CONNECTIONS;
    server(w, 1)->weight = 2;
    for (int i = 0; i < 50; i++) {
        assert_result(w, ROUTE_FOUND);
    }
    for (size_t i = 0; i < SERVERS; i++) {
        assert_int_equal(atomic_load(&w->shared->servers[i]->connections), i == 1 ? 20 : 10);
    }
}

static void ip_hash_sticks_to_a_full_server(void **state)
{
    struct world *w = *state;
    w->config->backends[0].balance = BALANCE_IP_HASH;
    w->request.client_hash = hash_mix(99);
    size_t home;
    assert_int_equal(pick(w, &home), ROUTE_FOUND);
    server(w, home)->max_connections = 1;
    assert_result(w, ROUTE_FULL);
    shared_release(&w->shared->servers[home]->connections);
    assert_picks(w, home);
    uint16_t tried[] = {(uint16_t)home};
    w->request.tried = tried;
    w->request.tried_count = 1;
    size_t next;
    assert_int_equal(pick(w, &next), ROUTE_FOUND);
    assert_int_not_equal(next, home);
}

static void ip_hash_goes_by_the_names_of_the_servers(void **state)
{
    struct world *w = *state;
    w->config->backends[0].balance = BALANCE_IP_HASH;
    size_t before[64];
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        w->request.client_hash = hash_mix(i);
        assert_int_equal(pick(w, &before[i]), ROUTE_FOUND);
    }
    char *first = server(w, 0)->name;
    server(w, 0)->name = server(w, 3)->name;
    server(w, 3)->name = first;
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        w->request.client_hash = hash_mix(i);
        assert_picks(w, before[i] == 0 ? 3 : before[i] == 3 ? 0 : before[i]);
    }
}

static void seeds_begin_round_robin_at_different_servers(void **state)
{
    struct world *w = *state;
    size_t begun[SERVERS] = {0};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        size_t got;
        balance_state_release(&w->balance);
        balance_state_init(&w->balance, seed);
        assert_int_equal(pick(w, &got), ROUTE_FOUND);
        begun[got]++;
    }
    for (size_t i = 0; i < SERVERS; i++) {
        assert_in_range(begun[i], 60, 140);
    }
}

static void a_session_stays_while_its_route_allows_its_server(void **state)
{
    struct world *w = *state;
    for (enum access a = ACCESS_NONE; a <= ACCESS_OPEN; a++) {
        bool may = a >= ACCESS_QUIET;
        for (size_t i = 0; i < SERVERS; i++) {
            set_access(w, i, a);
            assert_int_equal(route_allows(w->topology, 0, i, ROUTE_PRIMARY), may && i == 0);
            assert_int_equal(route_allows(w->topology, 0, i, ROUTE_REPLICA), may);
            assert_int_equal(route_allows(w->topology, 0, i, ROUTE_ANY), may);
        }
    }
}

static void a_promoted_replica_keeps_its_read_sessions(void **state)
{
    struct world *w = *state;
    w->topology->backends[0].primary = 1;
    w->topology->backends[0].servers[1].role = ROLE_PRIMARY;
    assert_true(route_allows(w->topology, 0, 1, ROUTE_REPLICA));
    assert_true(route_allows(w->topology, 0, 1, ROUTE_PRIMARY));
    assert_false(route_allows(w->topology, 0, 0, ROUTE_PRIMARY));
}

/* Threads that pick and release as fast as they can, and look whether a cap was exceeded. */
#define CAP     3
#define THREADS 4

struct racer {
    struct world *world;
    atomic_bool *exceeded;
    enum balance balance;
    pthread_t thread;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct world *w = r->world;
    struct balance_state state;
    balance_state_init(&state, (uint64_t)(uintptr_t)r);
    for (int i = 0; i < 20000; i++) {
        size_t got[4];
        size_t held = 0;
        while (held < ARRAY_LEN(got) &&
               route_pick(w->topology, w->shared, &state, &w->request, &got[held]) == ROUTE_FOUND) {
            held++;
        }
        for (size_t s = 0; s < SERVERS; s++) {
            if (atomic_load(&w->shared->servers[s]->connections) > CAP) {
                atomic_store(r->exceeded, true);
            }
        }
        while (held > 0) {
            shared_release(&w->shared->servers[got[--held]]->connections);
        }
    }
    balance_state_release(&state);
    return NULL;
}

static void racing_threads_never_exceed_a_cap(void **state)
{
    struct world *w = *state;
    static const enum balance all[] = {BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS,
                                       BALANCE_RANDOM, BALANCE_FIRST, BALANCE_IP_HASH};
    for (size_t i = 0; i < SERVERS; i++) {
        server(w, i)->max_connections = CAP;
    }
    for (size_t b = 0; b < ARRAY_LEN(all); b++) {
        atomic_bool exceeded = false;
        struct racer racers[THREADS];
        w->config->backends[0].balance = all[b];
        for (size_t i = 0; i < THREADS; i++) {
            racers[i] = (struct racer){.world = w, .exceeded = &exceeded};
            pthread_create(&racers[i].thread, NULL, race, &racers[i]);
        }
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(racers[i].thread, NULL);
        }
        assert_false(exceeded);
        for (size_t i = 0; i < SERVERS; i++) {
            assert_int_equal(atomic_load(&w->shared->servers[i]->connections), 0);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_primary_route_takes_the_primary_only),
        TEST(the_primary_route_waits_while_the_primary_is_not_open),
        TEST(the_replica_route_takes_open_replicas),
        TEST(without_a_replica_the_route_falls_back_as_configured),
        TEST(full_replicas_do_not_fall_back),
        TEST(the_any_route_takes_every_open_server),
        TEST(what_was_tried_is_left_out),
        TEST(when_all_replicas_were_tried_the_primary_is_next),
        TEST(backups_serve_only_while_nobody_else_may),
        TEST(a_full_server_is_no_reason_for_a_backup),
        TEST(first_fills_servers_in_order),
        TEST(what_another_process_leaves_is_all_there_is),
        TEST(each_algorithm_picks_and_claims),
        TEST(least_connections_counts_what_was_claimed),
        TEST(ip_hash_sticks_to_a_full_server),
        TEST(ip_hash_goes_by_the_names_of_the_servers),
        TEST(seeds_begin_round_robin_at_different_servers),
        TEST(a_session_stays_while_its_route_allows_its_server),
        TEST(a_promoted_replica_keeps_its_read_sessions),
        TEST(racing_threads_never_exceed_a_cap),
    };
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
